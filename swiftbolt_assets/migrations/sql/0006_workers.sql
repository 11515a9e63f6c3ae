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

alter table workers enable row level security;
alter table worker_runs enable row level security;
revoke all on workers, worker_runs from public, anon, authenticated, service_role;
grant select on workers, worker_runs to service_role;

-- Part of each queue's name, so that two installations may share a broker.
insert into installation (name, value) values ('id', gen_random_uuid()::text);
