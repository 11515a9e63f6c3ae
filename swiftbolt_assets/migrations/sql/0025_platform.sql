-- The installation itself: what it is, whether it ticks, its workers, its size.

-- What this database is: facts that outlive a process, such as whether its bars are simulated.
create table installation (
  name text primary key,
  value text not null,
  changed_at timestamptz not null default clock_timestamp()
);
alter table installation enable row level security;
revoke all on installation from public, anon, authenticated, service_role;

-- Whether the platform ticks: what a tick writes down.
create table heartbeats (
  name text primary key,
  beat_at timestamptz not null
);
alter table heartbeats enable row level security;
revoke all on heartbeats from public, anon, authenticated, service_role;

-- Workers on any machine: who lives, with how many slots, and which run beats.
--
-- All ages are by this server's clock; no worker's clock is ever compared with another's.

-- A worker is a row for one life of its process; a killed one's row just stops beating.
create table workers (
  id uuid primary key,
  name text not null,
  host text not null,
  pid integer not null,
  -- The queue of its code: runs of other code never reach it.
  queue text not null,
  slots integer not null check (slots > 0),
  -- It ends its runs and takes no more.
  draining boolean not null default false,
  started_at timestamptz not null default clock_timestamp(),
  beat_at timestamptz not null default clock_timestamp()
);
alter table workers enable row level security;

-- A run on a worker. The row is made once, by who begins the run: a message that is delivered
-- again finds it, and does nothing.
create table worker_runs (
  run_id text primary key,
  -- Null when the run was stopped before a worker began it.
  worker_id uuid,
  began_at timestamptz not null default clock_timestamp(),
  beat_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  -- It is to end now: cancelled, or given up because it was silent.
  stop_requested boolean not null default false
);
alter table worker_runs enable row level security;
revoke all on workers, worker_runs from public, anon, authenticated, service_role;
grant select on workers, worker_runs to service_role;

-- Running for years: how big the databases were, day by day, and when old rows were last pruned.
create table database_sizes (
  measured_at timestamptz primary key default clock_timestamp(),
  bars_bytes bigint not null check (bars_bytes >= 0),
  dagster_bytes bigint not null check (dagster_bytes >= 0)
);
alter table database_sizes enable row level security;
revoke all on database_sizes from public, anon, authenticated, service_role;
grant select on database_sizes to service_role;

-- Nobody but the owner needs the table that says how far the schema is.
revoke all on alembic_version from public, anon, authenticated, service_role;
