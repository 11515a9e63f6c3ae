-- What is wanted, and what is to be done for it.

-- What is wanted: a symbol, a timeframe, and how many days back. `pinned` is an operator's last word:
-- tracking leaves such a row alone.
create table job_definitions (
  id uuid primary key default gen_random_uuid(),
  job_type text not null check (job_type in ('fetch_intraday', 'fetch_historical', 'run_forecast')),
  symbol text not null check (symbol ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$'),
  timeframe timeframe not null,
  window_days integer not null default 7 check (window_days between 1 and 36500),
  priority integer not null default 100 check (priority between 0 and 1000000),
  enabled boolean not null default true,
  pinned boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Whose idea it is: the installation's own, until anybody asks for it or changes it; tracked
  -- interest's, which may end; or of somebody who asked by name, and means the priority that it has.
  origin text not null default 'asked' check (origin in ('seed', 'interest', 'asked')),
  unique (symbol, timeframe, job_type)
);
create index job_definitions_enabled on job_definitions (priority desc) where enabled;
alter table job_definitions enable row level security;
create policy job_definitions_read on job_definitions for select using (true);

-- What is to be done: one row a timeframe and slice. A slice is a stretch of sessions that fits one
-- request; its rows of three timeframes are one job. The columns from `first_day` on are the
-- platform's own; a row that somebody else inserts has them empty and is claimed all the same.
create table job_runs (
  id uuid primary key default gen_random_uuid(),
  job_def_id uuid references job_definitions on delete cascade,
  symbol text not null,
  timeframe timeframe not null,
  job_type text not null,
  slice_from timestamptz,
  slice_to timestamptz,
  status text not null default 'queued'
    check (status in ('queued', 'running', 'success', 'failed', 'cancelled')),
  progress_percent double precision not null default 0,
  rows_written integer not null default 0,
  provider text,
  attempt integer not null default 1,
  error_message text,
  error_code text,
  triggered_by text not null default 'cron' check (triggered_by in ('cron', 'user', 'system')),
  started_at timestamptz,
  finished_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  first_day date,
  last_day date,
  sessions integer,
  priority integer not null default 100,
  next_attempt_at timestamptz,
  claim_id uuid,
  claimed_at timestamptz,
  -- Pauses of minutes run on real time, those of hours on the market clock as well: whichever is
  -- over first ends a wait.
  next_attempt_market_at timestamptz,
  check (slice_from < slice_to),
  check ((first_day is null) = (last_day is null) and first_day <= last_day)
);

-- A slice is at work once at most.
create unique index job_runs_active on job_runs (symbol, timeframe, slice_from, slice_to)
  where status in ('queued', 'running');
create index job_runs_definition on job_runs (job_def_id, status);
create index job_runs_status on job_runs (status, created_at);
create index job_runs_open on job_runs (symbol, last_day)
  where status in ('queued', 'running', 'failed');
create index job_runs_waiting on job_runs (priority desc, created_at)
  where status = 'queued' and claim_id is null;
create index job_runs_claimed on job_runs (claim_id)
  where status in ('queued', 'running') and claim_id is not null;
alter table job_runs enable row level security;
create policy job_runs_read on job_runs for select using (true);

-- Done slices are most of job_runs: 300,000 rows of ten thousand symbols over two years.

-- Of one symbol, whatever their state: `status SYMBOL`, and the monitoring report of who tracks what.
create index job_runs_symbol on job_runs (symbol, status);

-- The latest that ended: `status`, and the orchestrator's.
create index job_runs_finished on job_runs (finished_at desc nulls last)
  where status in ('success', 'failed');

create table coverage_status (
  symbol text not null,
  timeframe timeframe not null,
  from_ts timestamptz,
  to_ts timestamptz,
  last_success_at timestamptz,
  last_rows_written integer,
  last_provider text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (symbol, timeframe)
);
alter table coverage_status enable row level security;
create policy coverage_status_read on coverage_status for select using (true);
revoke all on job_definitions, job_runs, coverage_status from public, anon, authenticated, service_role;
grant select on job_definitions, job_runs, coverage_status to anon, authenticated, service_role;

-- For what each symbol was planned last; a plan is made anew when that changes or it is stale.
create table symbol_plans (
  symbol text primary key,
  wanted text not null,
  last_day date not null,
  stale boolean not null default false,
  planned_at timestamptz not null default clock_timestamp()
);
create index symbol_plans_stale on symbol_plans (symbol) where stale;
alter table symbol_plans enable row level security;
revoke all on symbol_plans from public, anon, authenticated, service_role;

-- What was refused of a symbol that no request was ever answered for.
create table symbol_refusals (
  symbol text primary key,
  error_code text not null,
  message text not null,
  -- The message without numbers: the same refusal of other days.
  fingerprint text not null,
  refusals integer not null,
  -- By the market clock; the first that counts as evidence.
  first_refused_at timestamptz not null,
  last_refused_at timestamptz not null,
  next_attempt_at timestamptz,
  next_attempt_market_at timestamptz,
  final_at timestamptz
);
alter table symbol_refusals enable row level security;
revoke all on symbol_refusals from public, anon, authenticated, service_role;

-- Somebody pressed a button: the newest session of a symbol is to be asked for again, though nothing of
-- it is missing. So this is no slice of the queue: percent, counts and the ledger's states stay as they
-- are. However often and by however many it is pressed, a request goes out once a minute at most.
create table rechecks (
  symbol_id uuid primary key references symbols on delete cascade,
  -- The press that the next request answers.
  asked_at timestamptz not null,
  -- Not taken on before.
  due_at timestamptz not null,
  priority integer not null check (priority between 0 and 1000000),
  -- Who works on it; a claim like those of slices.
  claim_id uuid,
  claimed_at timestamptz,
  -- When a request was last about to be sent for it, or was answered.
  request_at timestamptz,
  ended_at timestamptz,
  failures integer not null default 0 check (failures >= 0),
  error text,
  check ((claim_id is null) = (claimed_at is null)),
  check (ended_at is null or claim_id is null)
);
create index rechecks_open on rechecks (priority desc, asked_at) where ended_at is null;
alter table rechecks enable row level security;
revoke all on rechecks from public, anon, authenticated, service_role;
create policy rechecks_read on rechecks for select using (true);
grant select on rechecks to authenticated, service_role;
