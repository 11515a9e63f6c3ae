-- A provider's bad hour is no property of a symbol: a refusal is final only with evidence, everything
-- else waits, ever longer, and comes back by itself.
--
-- Pauses of minutes run on real time; those of hours on the market clock as well: whichever is over
-- first ends a wait.
alter table provider_health
  -- Who has failed since the last answer, the latest last.
  add column symbols text[] not null default '{}',
  -- A cool-down of the provider; else of these symbols only.
  add column for_all boolean not null default true,
  add column failing_since timestamptz,
  -- For whom one request finds out whether the provider answers again, and until when others wait.
  add column probe_symbol text,
  add column probe_until timestamptz;

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
alter table job_runs add column next_attempt_market_at timestamptz;

-- When a request ended by the market clock: evidence may be days apart.
alter table provider_requests add column market_at timestamptz;
alter table provider_requests alter column market_at set default market_now();
create index provider_requests_answered on provider_requests (market_at) where outcome = 'ok';
create index provider_requests_failed on provider_requests (sent_at) where outcome <> 'ok';
drop function if exists fail_slices(text, text, text, boolean, integer);
drop function if exists release_claims(uuid[], text, date, date, text, integer);
drop function if exists release_abandoned(integer);

-- A provider that refuses is asked ever later: its pauses are counted over all processes, the one that
-- worked is where the next refusal begins, and what it granted is gone by for an hour.
alter table rate_limit
  -- When it was closed: a closure that began in the future was written before the clock was set back.
  add column closed_at timestamptz not null default '-infinity',
  -- Refusals since the last answer, of those that did not say how long to wait.
  add column refusals integer not null default 0,
  add column refused_at timestamptz,
  add column pause_s double precision,
  -- So many a window, until then.
  add column slow_n integer check (slow_n >= 1),
  add column slow_until timestamptz;
drop function if exists rate_try(text, bigint, integer, integer, double precision, text, integer, double precision);
drop function if exists rate_state(text);
