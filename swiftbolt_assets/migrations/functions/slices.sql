-- Slices: what they are to a reader, begun, settled, failed, put off, counted.

-- The slices that are not done: the rows of three timeframes that share one request are one. A row
-- that somebody inserted without days is a slice of its own. It reads with its reader's rights.
create or replace view slices with (security_invoker = true) as
select symbol, first_day, last_day, max(sessions) as sessions, max(priority) as priority,
  case
    when bool_or(status = 'running') then 'running'
    when bool_or(status = 'queued' and next_attempt_at > clock_timestamp()) then 'retrying'
    when bool_or(status = 'queued') then 'queued'
    else 'failed'
  end as state,
  max(next_attempt_at) filter (where status = 'queued') as next_attempt_at,
  max(attempt) as attempt,
  max(error_message) as error_message,
  coalesce(bool_or(error_code in ('INVALID_SYMBOL', 'PERMISSION_DENIED')), false) as is_refused,
  max(updated_at) as updated_at
  from job_runs
 where status in ('queued', 'running', 'failed')
 group by symbol, first_day, last_day, case when first_day is null then id end;
revoke all on slices from public, anon, authenticated, service_role;
grant select on slices to anon, authenticated, service_role;

-- A slice that somebody inserts by hand gets its days, so that it is claimed like the others: those
-- before today, for no other day can be settled. A row for another worker gets none.
create or replace function complete_job_run() returns trigger language plpgsql as $$
declare
  today date := market_today();
  earliest date := first_fetched_day();
begin
  new.symbol := canonical_symbol(new.symbol);
  if new.slice_from < new.slice_to and new.job_type <> 'run_forecast'
    and new.timeframe = any (stored_timeframes()) then
    select min(day), max(day), count(*) into new.first_day, new.last_day, new.sessions
      from market_sessions
     where closes > new.slice_from and opens < new.slice_to and day >= earliest and day < today;
  end if;
  return new;
end
$$;

create or replace trigger job_runs_days before insert on job_runs
  for each row when (new.first_day is null) execute function complete_job_run();

-- The life of a slice: claimed, begun, settled by the transaction that stores its bars, or failed.
-- Whatever changes several rows locks them in the order of their ids: no two wait for each other.

-- Whoever waits for work hears of it.
create or replace function announce_work() returns trigger language plpgsql as $$
begin
  perform pg_notify('swiftbolt_work', '');
  return null;
end
$$;

create or replace trigger job_runs_added after insert on job_runs
  for each statement execute function announce_work();

create or replace function announce_slices() returns trigger language plpgsql as $$
begin
  perform pg_notify('swiftbolt_news', json_build_object('symbol', symbol)::text)
    from changed group by symbol;
  return null;
end
$$;

create or replace trigger job_runs_announced after insert on job_runs
  referencing new table as changed for each statement execute function announce_slices();

create or replace trigger job_runs_changed after update on job_runs
  referencing new table as changed for each statement execute function announce_slices();

-- How long after its n-th failure a slice waits: half a minute, doubling, four hours at most.
create or replace function retry_delay(p_attempt integer) returns interval
language sql immutable parallel safe
  return least(interval '4 hours', interval '30 seconds' * (2 ^ least(p_attempt - 1, 10)));

-- The newest slice of a symbol that a request now asks for is running, and no other one of it: a
-- request may span two, and a symbol is one job.
create or replace function begin_slices(p_symbol text, p_first date, p_last date) returns void language plpgsql as $$
declare
  newest date;
begin
  select max(last_day) into newest from job_runs
   where symbol = p_symbol and status in ('queued', 'running')
     and first_day <= p_last and last_day >= p_first;
  with held as materialized (
    select id from job_runs
     where symbol = p_symbol
       and ((status = 'queued' and last_day = newest) or (status = 'running' and last_day <> newest))
     order by id for update
  )
  update job_runs r set
    status = case when last_day = newest then 'running' else 'queued' end,
    started_at = case when last_day = newest then clock_timestamp() else started_at end,
    provider = case when last_day = newest then 'polygon' else provider end
    from held where r.id = held.id;
end
$$;

-- Called in the transaction that stores bars: slices whose sessions are all settled have succeeded,
-- and so have those whose sessions the calendar has no more. One that is due again is not settled.
create or replace function settle_slices(
  p_symbol_id uuid, p_first date, p_last date, p_provider text)
returns void language plpgsql as $$
declare
  earliest date := first_fetched_day();
  instant timestamptz := market_now();
  ended integer;
begin
  with touched as materialized (
    select r.id, r.slice_from, r.slice_to, r.timeframe, n.sessions, n.settled
      from symbols y
      join job_runs r on r.symbol = y.ticker and r.status in ('queued', 'running', 'failed')
       and r.first_day <= p_last and r.last_day >= p_first
      cross join lateral (
        select count(*) as sessions,
          count(*) filter (where c.state = 'final' and coalesce(c.ask_again_at > instant, true))
            as settled
          from market_sessions m
          left join session_coverage c on c.symbol_id = y.id and c.day = m.day
         where m.day between greatest(r.first_day, earliest) and r.last_day) n
     where y.id = p_symbol_id
     order by r.id for update of r
  ), changed as (
    update job_runs r set
      status = case when t.settled = t.sessions then 'success' else r.status end,
      finished_at = case when t.settled = t.sessions then clock_timestamp() else r.finished_at end,
      started_at = coalesce(r.started_at, clock_timestamp()),
      next_attempt_at = case when t.settled = t.sessions then null else r.next_attempt_at end,
      next_attempt_market_at = case
        when t.settled = t.sessions then null else r.next_attempt_market_at end,
      error_code = case when t.settled = t.sessions then null else r.error_code end,
      error_message = case when t.settled = t.sessions then null else r.error_message end,
      progress_percent = case when t.sessions = 0 then 100
        else floor(100.0 * t.settled / t.sessions) end,
      provider = coalesce(p_provider, r.provider),
      rows_written = (
        select count(*) from ohlc_bars_v2 b
         where b.symbol_id = p_symbol_id and b.timeframe = t.timeframe and not b.is_forecast
           and b.ts >= t.slice_from and b.ts < t.slice_to)
      from touched t where r.id = t.id and (t.settled > 0 or t.sessions = 0)
    returning r.status
  )
  select count(*) filter (where status = 'success') into ended from changed;
  if ended > 0 then
    perform pg_notify('swiftbolt_work', '');
  end if;
end
$$;

-- What a run's failure does to its symbol's slices. A passing reason uses up one of five attempts of
-- the slices that had begun, a rate limit none; a permanent one fails them all, never to be retried
-- without a person. Slices that had not begun wait on, unclaimed. Returns the rows that failed.
create or replace function fail_slices(
  p_symbol text, p_code text, p_message text, p_retryable boolean,
  p_wait_s double precision default null, p_first date default null, p_last date default null,
  p_priority integer default 100)
returns integer language plpgsql as $$
declare
  cooling timestamptz := (select cooling_until from provider_health where provider = 'polygon' and for_all);
  waits boolean := p_wait_s is not null or p_code = 'RATE_LIMIT_EXCEEDED' or cooling is not null;
  is_refusal boolean := not waits and not p_retryable;
  is_slices boolean := is_refusal and exists (
    select from session_coverage c join symbols s on s.id = c.symbol_id
     where s.ticker = p_symbol and c.provider = 'polygon'
       and (c.bars > 0 or (c.answers > 0 and c.reason <> 'plan_cut')));
  wait_until timestamptz := greatest(clock_timestamp() + make_interval(secs => coalesce(
    p_wait_s, case when cooling is null then 60 else 0 end)), cooling);
  refused record;
  failed integer;
begin
  insert into job_runs (symbol, timeframe, job_type, slice_from, slice_to, status, started_at,
    triggered_by, priority)
  select p_symbol, 'm15', 'fetch_intraday', min(opens), max(closes), 'running', clock_timestamp(),
    'user', p_priority
    from market_sessions
   where p_first is not null
     and day between greatest(p_first, first_fetched_day()) and least(p_last, market_today() - 1)
     and not exists (
       select from job_runs o where o.symbol = p_symbol and o.status in ('queued', 'running')
        and o.first_day <= p_last and o.last_day >= p_first)
  having count(*) > 0
  on conflict do nothing;
  select false as is_final, null::timestamptz as next_at, null::timestamptz as next_market_at into refused;
  if is_refusal and not is_slices then
    select * into refused from note_refusal(p_symbol, p_code, p_message);
  end if;
  with held as materialized (
    select r.id from job_runs r
     where r.symbol = p_symbol and (r.status = 'running' or (r.status = 'queued'
       and (r.claim_id is not null or (is_refusal and not is_slices))))
     order by r.id for update
  ), changed as (
    update job_runs r set
      status = case when refused.is_final then 'failed' else 'queued' end,
      attempt = r.attempt + (r.status = 'running' and not waits)::integer,
      next_attempt_at = case
        when waits then wait_until
        when not is_refusal then clock_timestamp() + retry_delay(r.attempt)
        when not is_slices then refused.next_at
        when r.status = 'running' then clock_timestamp() + refusal_delay(r.attempt)
        else r.next_attempt_at end,
      next_attempt_market_at = case
        when is_refusal and not is_slices then refused.next_market_at
        when is_slices and r.status = 'running' and r.attempt >= 3
          then market_now() + refusal_delay(r.attempt)
        when is_slices and r.status = 'queued' then r.next_attempt_market_at end,
      finished_at = case when refused.is_final then clock_timestamp() end,
      error_code = case
        when r.status = 'running' or (is_refusal and not is_slices) then p_code else r.error_code end,
      error_message = case
        when r.status = 'running' or (is_refusal and not is_slices) then p_message
        else r.error_message end,
      priority = wanted_priority(r.symbol, r.priority),
      claim_id = null, claimed_at = null
      from held where r.id = held.id
    returning r.status
  )
  select count(*) filter (where status = 'failed') into failed from changed;
  return failed;
end
$$;

-- Starts the attempts of a symbol anew, also of what had failed for good: a person asked for it.
create or replace function restart_slices(p_symbol text) returns integer language plpgsql as $$
declare
  failed integer := requeue_failed(p_symbol, true);
  waiting integer;
begin
  with used_up as materialized (
    select id from job_runs
     where symbol = p_symbol and status = 'queued' and (next_attempt_at is not null or attempt > 1)
     order by id for update
  )
  update job_runs r set attempt = 1, next_attempt_at = null from used_up where r.id = used_up.id;
  get diagnostics waiting = row_count;
  perform pg_notify('swiftbolt_work', '');
  return failed + waiting;
end
$$;

-- Makes waiting slices due, of some symbols or of all, that were not tried more often than this.
create or replace function end_waits(p_symbols text[], p_most_attempts integer) returns void language sql as $$
  with waiting as materialized (
    select r.id from job_runs r
     where r.status = 'queued' and r.claim_id is null and r.next_attempt_at > clock_timestamp()
       and r.attempt <= p_most_attempts and r.error_code is distinct from 'RATE_LIMIT_EXCEEDED'
       and (p_symbols is null or r.symbol = any(p_symbols))
       and not exists (
         select from symbol_refusals f where f.symbol = r.symbol and f.refusals > 0)
     order by r.id for update of r
  )
  update job_runs r set next_attempt_at = null, next_attempt_market_at = null
    from waiting w where r.id = w.id
$$;

-- What failed for a passing reason is tried anew when its time has come, everything that failed when
-- a person asks: then no refusal counts any more. Of the same slice twice, one goes: it may be at work
-- once only.
create or replace function requeue_failed(p_symbol text, p_at_once boolean) returns integer
language plpgsql as $$
declare
  requeued integer;
begin
  if p_at_once then
    delete from symbol_refusals
     where (p_symbol is null and final_at is not null) or symbol = p_symbol;
  end if;
  with due as materialized (
    select r.id, r.symbol, r.timeframe, r.slice_from, r.slice_to, r.created_at from job_runs r
     where r.status = 'failed' and (p_at_once or r.next_attempt_at <= clock_timestamp())
       and (p_symbol is null or r.symbol = p_symbol)
     order by r.id for update
  ), judged as (
    select d.id,
      row_number() over (
        partition by d.symbol, d.timeframe, d.slice_from, d.slice_to,
          case when d.slice_from is null or d.slice_to is null then d.id end
        order by d.created_at desc, d.id) > 1
      or exists (
        select from job_runs o
         where o.symbol = d.symbol and o.timeframe = d.timeframe and o.slice_from = d.slice_from
           and o.slice_to = d.slice_to and o.status in ('queued', 'running')) as is_double
      from due d
  )
  update job_runs r set
    status = case when j.is_double then 'cancelled' else 'queued' end,
    finished_at = case when j.is_double then clock_timestamp() end,
    attempt = 1, next_attempt_at = null, priority = wanted_priority(r.symbol, r.priority)
    from judged j where r.id = j.id;
  get diagnostics requeued = row_count;
  return requeued;
end
$$;

-- Whether exactly this slice is waiting, at work or done; one that failed may be asked for again.
create or replace function job_slice_exists(
  p_symbol text, p_timeframe text, p_slice_from timestamptz, p_slice_to timestamptz
) returns boolean
language plpgsql stable as $$
declare
  wanted timeframe := parse_timeframe(p_timeframe);
begin
  return exists (
    select from job_runs r
     where r.symbol = canonical_symbol(p_symbol) and r.timeframe = wanted
       and r.slice_from = p_slice_from and r.slice_to = p_slice_to
       and r.status in ('queued', 'running', 'success'));
end
$$;

-- How far a definition is, as those who wait for it see it: a session that is over and whose live bars are
-- all there is shown, also when New York's date has changed and its final bars are not there yet.
create or replace function get_job_progress(p_job_def_id uuid)
returns table (total_slices integer, completed_slices integer, running_slices integer,
  queued_slices integer, failed_slices integer, progress_percent integer, bars_written integer,
  sessions integer, sessions_settled integer, complete boolean)
language sql stable security definer
set search_path = public, pg_temp as $$
  with definition as (
    select d.*, s.id as symbol_id,
      greatest(market_today() - d.window_days, first_fetched_day()) as first_day
      from job_definitions d join symbols s on s.ticker = d.symbol where d.id = p_job_def_id
  ), days as (
    select count(*)::integer as sessions,
      (count(*) filter (where c.state = 'final' or c.live_whole))::integer as settled
      from definition d
      join market_sessions m on m.day >= d.first_day and m.day < market_today()
      left join session_coverage c on c.symbol_id = d.symbol_id and c.day = m.day
  ), runs as (
    select (count(*) filter (where r.status = 'success'))::integer as success,
      (count(*) filter (where r.status = 'running'))::integer as running,
      (count(*) filter (where r.status = 'queued'))::integer as queued,
      (count(*) filter (where r.status = 'failed'))::integer as failed
      from definition d join job_runs r on r.job_def_id = d.id
       and r.status <> 'cancelled' and (r.last_day is null or r.last_day >= d.first_day)
  )
  select r.success + r.running + r.queued + r.failed, r.success, r.running, r.queued, r.failed,
    case when y.sessions = 0 then 100 else y.settled * 100 / y.sessions end,
    count_chart_bars(d.symbol_id, d.timeframe, market_today() - d.window_days),
    y.sessions, y.settled, y.settled = y.sessions
    from definition d cross join days y cross join runs r
$$;

-- The runs that were made within some hours; no row for a timeframe without any.
create or replace function get_timeframe_job_stats(p_hours integer default 1)
returns table (
  timeframe text, total_jobs bigint, queued bigint, running bigint, success bigint, failed bigint,
  total_bars_written bigint, avg_duration_seconds double precision
)
language sql stable as $$
  select r.timeframe::text, count(*),
    count(*) filter (where r.status = 'queued'),
    count(*) filter (where r.status = 'running'),
    count(*) filter (where r.status = 'success'),
    count(*) filter (where r.status = 'failed'),
    coalesce(sum(r.rows_written) filter (where r.status = 'success'), 0)::bigint,
    avg(extract(epoch from r.finished_at - r.started_at))
      filter (where r.status = 'success')::double precision
    from job_runs r
   where r.created_at >= now() - make_interval(hours => least(greatest(p_hours, 0), 876000))
   group by r.timeframe
   order by 1
$$;

revoke all on function
  complete_job_run(), announce_work(), announce_slices(), begin_slices(text,date,date),
  settle_slices(uuid,date,date,text),
  fail_slices(text,text,text,boolean,double precision,date,date,integer), restart_slices(text),
  end_waits(text[],integer), requeue_failed(text,boolean),
  job_slice_exists(text,text,timestamptz,timestamptz), get_job_progress(uuid),
  get_timeframe_job_stats(integer)
  from public, anon, authenticated, service_role;
grant execute on function
  job_slice_exists(text,text,timestamptz,timestamptz), get_job_progress(uuid),
  get_timeframe_job_stats(integer)
  to anon, authenticated, service_role;
