-- Certificates of completeness: what was proved once, to be held against what is stored later.
create table certificates (
  id bigint generated always as identity primary key,
  symbol_id uuid not null references symbols on delete cascade,
  issued_at timestamptz not null,
  verified_at timestamptz not null default clock_timestamp(),
  first_day date not null,
  last_day date not null,
  content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
  document jsonb not null,
  check (first_day <= last_day)
);
create index certificates_symbol on certificates (symbol_id, id desc);
alter table certificates enable row level security;
revoke all on certificates from public, anon, authenticated, service_role;
grant select on certificates to service_role;
