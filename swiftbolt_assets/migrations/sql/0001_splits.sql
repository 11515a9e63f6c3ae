-- Share splits; stored bars stay raw and are folded with these when they are read.
create table splits (
  symbol_id uuid not null references symbols on delete cascade,
  execution_date date not null,
  split_from double precision not null check (split_from > 0 and split_from < 'Infinity'),
  split_to double precision not null check (split_to > 0 and split_to < 'Infinity'),
  provider data_provider not null default 'polygon',
  provider_id text,
  seen_at timestamptz not null default clock_timestamp(),
  primary key (symbol_id, execution_date)
);
alter table splits enable row level security;
create policy splits_read on splits for select using (true);
revoke all on splits from public, anon, authenticated, service_role;
grant select on splits to anon, authenticated, service_role;
