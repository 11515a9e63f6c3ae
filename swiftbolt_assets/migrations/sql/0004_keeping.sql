-- Running for years: how big the databases were, day by day, and when old rows were last pruned.

create table database_sizes (
  measured_at timestamptz primary key default clock_timestamp(),
  bars_bytes bigint not null check (bars_bytes >= 0),
  dagster_bytes bigint not null check (dagster_bytes >= 0)
);
alter table database_sizes enable row level security;
revoke all on database_sizes from public, anon, authenticated, service_role;
grant select on database_sizes to service_role;

-- A fresh installation has nothing to prune for a day.
insert into heartbeats (name, beat_at) values ('retention', clock_timestamp())
on conflict (name) do nothing;
