-- Which provider has failed too often and is left alone for a while.

create table provider_health (
  provider text primary key,
  -- Failures in a row, since the last answer.
  failures integer not null default 0 check (failures >= 0),
  cooling_until timestamptz,
  reason text,
  error_code text,
  changed_at timestamptz not null default clock_timestamp()
);

alter table provider_health enable row level security;
revoke all on provider_health from public, anon, authenticated, service_role;
