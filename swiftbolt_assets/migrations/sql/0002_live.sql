-- When each symbol's bars of today were last asked for: what the live refresh goes by.
--
-- Instants are the market clock's (`market_now()`), as sessions are; only `retry_at` is real time,
-- as back-off is. The bars themselves and the ledger's `provisional` row say what came of it.
create table live_refreshes (
  symbol_id uuid primary key references symbols on delete cascade,
  -- The instant for which the newest stored answer was asked.
  refreshed_at timestamptz,
  -- The end of the newest quarter hour that had closed by then.
  closed_through timestamptz,
  -- As far Dagster's catalogue has been told: once a quarter hour, not at every refresh.
  reported_through timestamptz,
  failures integer not null default 0 check (failures >= 0),
  error text,
  retry_at timestamptz,
  check (closed_through <= refreshed_at)
);
alter table live_refreshes enable row level security;
revoke all on live_refreshes from public, anon, authenticated, service_role;
grant select on live_refreshes to service_role;
