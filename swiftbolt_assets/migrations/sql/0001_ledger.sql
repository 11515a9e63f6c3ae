-- What has been asked, what was answered, and what is settled.

-- One row a symbol and session: the ledger of completeness (market/coverage.py judges).
create table session_coverage (
  symbol_id uuid not null references symbols on delete cascade,
  day date not null,
  state text not null check (state in ('open', 'provisional', 'final')),
  reason text check (reason in (
    'no_trade', 'halted', 'not_listed', 'plan_cut', 'rejected',
    'provider_empty', 'provider_error', 'not_fetched')),
  expected integer not null check (expected > 0),
  bars integer not null check (bars between 0 and expected),
  answers integer not null check (answers >= 0),
  absences jsonb not null default '{}',
  provider data_provider not null,
  request_id text,
  settled_at timestamptz,
  checked_at timestamptz not null default clock_timestamp(),
  primary key (symbol_id, day),
  check ((bars = 0) = (reason is not null)),
  check ((state = 'final') = (settled_at is not null))
);

-- Delivered bars that broke a rule: kept for inspection, never stored as bars.
create table rejected_bars (
  id bigint generated always as identity primary key,
  symbol_id uuid not null references symbols on delete cascade,
  provider data_provider not null,
  ts timestamptz,
  rule text not null,
  value text,
  bar jsonb not null,
  request_id text,
  rejected_at timestamptz not null default clock_timestamp()
);
create index rejected_bars_symbol on rejected_bars (symbol_id, ts);

-- Every HTTP request to a provider, failed ones included; never with a key.
create table provider_requests (
  id bigint generated always as identity primary key,
  provider text not null,
  endpoint text not null,
  symbol text,
  sent_at timestamptz not null,
  seconds double precision not null,
  status integer,
  outcome text not null,
  request_id text,
  bars integer not null,
  base_minutes integer not null
);
create index provider_requests_sent on provider_requests (provider, sent_at);
create index provider_requests_symbol on provider_requests (symbol, sent_at);

-- What is wanted: a symbol, a timeframe, and how many days back. `pinned` is an operator's last word:
-- tracking leaves such a row alone.
create table job_definitions (
  id uuid primary key default gen_random_uuid(),
  job_type text not null check (job_type in ('fetch_intraday', 'fetch_historical', 'run_forecast')),
  symbol text not null check (symbol ~ '^[A-Z][A-Z0-9]{0,9}(\.[A-Z][A-Z0-9]{0,3})?$'),
  timeframe timeframe not null,
  window_days integer not null default 7 check (window_days between 1 and 36500),
  priority integer not null default 100 check (priority between 0 and 1000000),
  enabled boolean not null default true,
  pinned boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (symbol, timeframe, job_type)
);
create index job_definitions_enabled on job_definitions (priority desc) where enabled;
create trigger job_definitions_touch before update on job_definitions
  for each row execute function touch_updated_at();

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
create trigger job_runs_touch before update on job_runs
  for each row execute function touch_updated_at();

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
create trigger coverage_status_touch before update on coverage_status
  for each row execute function touch_updated_at();

alter table job_definitions enable row level security;
alter table job_runs enable row level security;
alter table coverage_status enable row level security;
create policy job_definitions_read on job_definitions for select using (true);
create policy job_runs_read on job_runs for select using (true);
create policy coverage_status_read on coverage_status for select using (true);
revoke all on session_coverage, rejected_bars, provider_requests, job_definitions, job_runs,
  coverage_status from public, anon, authenticated, service_role;
grant select on job_definitions, job_runs, coverage_status to anon, authenticated, service_role;
grant select on session_coverage, rejected_bars to service_role;
