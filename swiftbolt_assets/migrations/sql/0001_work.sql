-- The life of a slice: claimed, begun, settled by the transaction that stores its bars, or failed.
-- Whatever changes several rows locks them in the order of their ids: no two wait for each other.

-- Whoever waits for work hears of it.
create function announce_work() returns trigger language plpgsql as $$
begin
  perform pg_notify('swiftbolt_work', '');
  return null;
end
$$;

-- A changed priority counts for everything that is not under way yet. What somebody looks at gets a
-- place in the request queue before its run stands: for ten seconds less urgent work leaves it a slot.
create function hand_down_priority() returns trigger language plpgsql as $$
begin
  delete from rate_waiter where id in (
    select id from rate_waiter where name = 'polygon' and seen_until <= clock_timestamp()
       for update skip locked);
  insert into rate_waiter (name, priority, seen_until, holder)
  select 'polygon', 199, clock_timestamp() + interval '10 seconds', 'announced ' || c.symbol
    from changed c where c.enabled and c.priority >= 200
   group by c.symbol;
  with raised as materialized (
    select r.id, w.priority from job_runs r join wanted_symbols w on w.symbol = r.symbol
     where r.status = 'queued' and r.claim_id is null and r.priority <> w.priority
       and r.symbol in (select symbol from changed)
     order by r.id for update of r
  )
  update job_runs r set priority = w.priority from raised w where r.id = w.id;
  perform pg_notify('swiftbolt_work', '');
  return null;
end
$$;
create trigger job_definitions_added after insert on job_definitions
  referencing new table as changed for each statement execute function hand_down_priority();
create trigger job_definitions_changed after update on job_definitions
  referencing new table as changed for each statement execute function hand_down_priority();
create trigger job_runs_added after insert on job_runs
  for each statement execute function announce_work();

-- Takes all due slices of the symbol that is wanted most, of equal ones the one that waits longest;
-- a symbol that is claimed already is left out. Newest slice first; no row when nothing is due.
-- What was settled meanwhile needs no run; what reaches today waits until the day is over.
create function claim_symbol(p_claim uuid, p_least_priority integer)
returns table (symbol text, priority integer, first_day date, last_day date)
language plpgsql as $$
declare
  today date := market_today();
  earliest date := first_fetched_day();
  chosen text;
begin
  -- One at a time: two would each hold a row of the same symbol, and wait for the other's.
  perform pg_advisory_xact_lock(hashtextextended('claim_symbol', 0));
  loop
    select r.symbol into chosen
      from job_runs r
     where r.status = 'queued' and r.claim_id is null and r.priority >= p_least_priority
       and r.last_day < today
       and (r.next_attempt_at is null or r.next_attempt_at <= clock_timestamp())
       and not exists (
         select from job_runs o
          where o.symbol = r.symbol and o.status in ('queued', 'running') and o.claim_id is not null)
     order by r.priority desc, r.created_at
     limit 1;
    if chosen is null then
      return;
    end if;
    perform settle_slices(s.id, '-infinity', today, null) from symbols s where s.ticker = chosen;
    return query
      with due as materialized (
        select r.id from job_runs r
         where r.symbol = chosen and r.status = 'queued' and r.claim_id is null
           and r.last_day < today
           and (r.next_attempt_at is null or r.next_attempt_at <= clock_timestamp())
         order by r.id for update
      ), taken as (
        update job_runs r set claim_id = p_claim, claimed_at = clock_timestamp()
          from due where r.id = due.id
        returning r.symbol, r.priority, r.first_day, r.last_day
      )
      -- From session to session: another day is no partition.
      select t.symbol, max(t.priority), n.first_day, n.last_day
        from taken t cross join lateral (
          select min(m.day) as first_day, max(m.day) as last_day from market_sessions m
           where m.day between greatest(t.first_day, earliest) and t.last_day) n
       where n.first_day is not null
       group by t.symbol, n.first_day, n.last_day order by n.last_day desc;
    if found then
      return;
    end if;
  end loop;
end
$$;

-- The contract's claim of one row, for a worker from outside: by priority, then age.
create function claim_queued_job()
returns table (job_run_id uuid, symbol text, timeframe text, job_type text,
  slice_from timestamptz, slice_to timestamptz)
language plpgsql as $$
declare
  chosen uuid;
begin
  select r.id into chosen
    from job_runs r
   where r.status = 'queued' and r.claim_id is null
     and (r.next_attempt_at is null or r.next_attempt_at <= clock_timestamp())
   order by r.priority desc, r.created_at
   limit 1
     for update of r skip locked;
  return query
    update job_runs r set status = 'running', started_at = clock_timestamp()
     where r.id = chosen
    returning r.id, r.symbol, r.timeframe::text, r.job_type, r.slice_from, r.slice_to;
end
$$;

-- The newest slice of a symbol that a request now asks for is running, and no other one of it: a
-- request may span two, and a symbol is one job. Its place in the request queue is its own now.
create function begin_slices(p_symbol text, p_first date, p_last date) returns void language plpgsql as $$
declare
  newest date;
begin
  delete from rate_waiter where holder = 'announced ' || p_symbol;
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
-- and so have those whose sessions the calendar has no more.
create function settle_slices(p_symbol_id uuid, p_first date, p_last date, p_provider text)
returns void language plpgsql as $$
declare
  earliest date := first_fetched_day();
  ended integer;
begin
  with touched as materialized (
    select r.id, r.slice_from, r.slice_to, r.timeframe, n.sessions, n.settled
      from symbols y
      join job_runs r on r.symbol = y.ticker and r.status in ('queued', 'running', 'failed')
       and r.first_day <= p_last and r.last_day >= p_first
      cross join lateral (
        select count(*) as sessions, count(*) filter (where c.state = 'final') as settled
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

-- How long after its n-th failure a slice waits: half a minute, doubling, a quarter hour at most.
create function retry_delay(p_attempt integer) returns interval language sql immutable parallel safe
  return least(interval '15 minutes', interval '30 seconds' * (2 ^ least(p_attempt - 1, 10)));

-- What a run's failure does to its symbol's slices. A passing reason uses up one of five attempts of
-- the slices that had begun, a rate limit none; a permanent one fails them all, never to be retried
-- without a person. Slices that had not begun wait on, unclaimed. Returns the rows that failed.
create function fail_slices(
  p_symbol text, p_code text, p_message text, p_retryable boolean, p_max_attempts integer default 5)
returns integer language plpgsql as $$
declare
  failed integer;
begin
  with held as materialized (
    select r.id from job_runs r
     where r.symbol = p_symbol and (r.status = 'running' or (r.status = 'queued'
       and (r.claim_id is not null or not p_retryable)))
     order by r.id for update
  ), changed as (
    update job_runs r set
      status = case
        when p_code = 'RATE_LIMIT_EXCEEDED' then 'queued'
        when not p_retryable then 'failed'
        when r.status = 'running' and r.attempt >= p_max_attempts then 'failed'
        else 'queued' end,
      attempt = case
        when p_retryable and p_code <> 'RATE_LIMIT_EXCEEDED' and r.status = 'running'
          and r.attempt < p_max_attempts then r.attempt + 1 else r.attempt end,
      next_attempt_at = case
        when p_code = 'RATE_LIMIT_EXCEEDED' then clock_timestamp() + interval '1 minute'
        when not p_retryable then null
        when r.status = 'running' and r.attempt >= p_max_attempts
          then clock_timestamp() + interval '1 day'
        else clock_timestamp() + retry_delay(r.attempt) end,
      finished_at = case
        when p_code <> 'RATE_LIMIT_EXCEEDED' and (not p_retryable
          or (r.status = 'running' and r.attempt >= p_max_attempts)) then clock_timestamp() end,
      error_code = case when r.status = 'running' or not p_retryable then p_code else r.error_code end,
      error_message = case
        when r.status = 'running' or not p_retryable then p_message else r.error_message end,
      priority = wanted_priority(r.symbol, r.priority),
      claim_id = null, claimed_at = null
      from held where r.id = held.id
    returning r.status
  )
  select count(*) filter (where status = 'failed') into failed from changed;
  return failed;
end
$$;

-- Gives back what claims hold whose runs are over, all of it or some days': begun slices have used up
-- an attempt. With a code the run failed by itself: all its slices have, and they wait a while.
-- Returns the rows given back.
create function release_claims(
  p_claims uuid[], p_message text, p_first date default null, p_last date default null,
  p_code text default null, p_max_attempts integer default 5)
returns integer language plpgsql as $$
declare
  released integer;
begin
  with held as materialized (
    select r.id, r.status = 'running' or p_code is not null as counts,
      (r.status = 'running' or p_code is not null) and r.attempt >= p_max_attempts as is_last
      from job_runs r
     where r.claim_id = any(p_claims) and r.status in ('queued', 'running')
       and (p_first is null or (r.first_day <= p_last and r.last_day >= p_first))
     order by r.id for update
  )
  update job_runs r set
    status = case when h.is_last then 'failed' else 'queued' end,
    attempt = case when h.counts and not h.is_last then r.attempt + 1 else r.attempt end,
    error_code = case when h.counts then coalesce(p_code, 'STALE_RUNNING') else r.error_code end,
    error_message = case when h.counts then p_message else r.error_message end,
    finished_at = case when h.is_last then clock_timestamp() end,
    next_attempt_at = case
      when h.is_last then clock_timestamp() + interval '1 day'
      when p_code is not null then clock_timestamp() + retry_delay(r.attempt) end,
    priority = wanted_priority(r.symbol, r.priority),
    claim_id = null, claimed_at = null
    from held h where r.id = h.id;
  get diagnostics released = row_count;
  if released > 0 then
    perform pg_notify('swiftbolt_work', '');
  end if;
  return released;
end
$$;

-- What a person cancelled in Dagster stays so until interest or the calendar asks anew.
create function cancel_claims(p_claims uuid[], p_message text) returns integer language plpgsql as $$
declare
  cancelled integer;
begin
  with held as materialized (
    select id from job_runs where claim_id = any(p_claims) and status in ('queued', 'running')
     order by id for update
  )
  update job_runs r set status = 'cancelled', finished_at = clock_timestamp(),
    error_message = p_message, claim_id = null, claimed_at = null
    from held where r.id = held.id;
  get diagnostics cancelled = row_count;
  return cancelled;
end
$$;

-- Starts the attempts of a symbol anew, also of what had failed for good: a person asked for it.
create function restart_slices(p_symbol text) returns integer language plpgsql as $$
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

-- Gives back what a command began and left: nobody holds the symbol's turn any more (`symbol_turn` in
-- resources/ledger.py). Rows of a worker from outside name no provider; they have an hour.
create function release_abandoned(p_max_attempts integer default 5) returns integer
language plpgsql as $$
declare
  begun record;
  changed integer;
  released integer := 0;
begin
  for begun in
    select distinct r.symbol, s.id from job_runs r join symbols s on s.ticker = r.symbol
     where r.status = 'running' and r.claim_id is null and r.provider is not null
       and r.updated_at <= clock_timestamp() - interval '20 seconds'
     order by r.symbol
  loop
    if pg_try_advisory_xact_lock(hashtextextended('fill ' || begun.id, 0)) then
      update job_runs r set
        status = case when r.attempt >= p_max_attempts then 'failed' else 'queued' end,
        attempt = least(r.attempt + 1, p_max_attempts),
        error_code = 'STALE_RUNNING', error_message = 'the process that worked on it is gone',
        finished_at = case when r.attempt >= p_max_attempts then clock_timestamp() end,
        next_attempt_at = case
          when r.attempt >= p_max_attempts then clock_timestamp() + interval '1 day' end,
        priority = wanted_priority(r.symbol, r.priority)
       where r.symbol = begun.symbol and r.status = 'running' and r.claim_id is null
         and r.provider is not null;
      get diagnostics changed = row_count;
      released := released + changed;
    end if;
  end loop;
  return released;
end
$$;

-- Running rows that nobody touched for so long are queued again, or failed after so many attempts.
-- Those of a claim are left out: whether their run lives is known, and it may wait for the provider.
create function reset_stale_running_jobs(
  p_max_age_minutes integer default 60, p_max_attempts integer default 5)
returns table (requeued bigint, failed bigint) language plpgsql as $$
begin
  return query
    with stale as materialized (
      select r.id from job_runs r
       where r.status = 'running' and r.claim_id is null
         and r.updated_at <= clock_timestamp() - make_interval(mins => p_max_age_minutes)
       order by r.id for update
    ), reset as (
      update job_runs r set
        status = case when r.attempt >= p_max_attempts then 'failed' else 'queued' end,
        attempt = case when r.attempt >= p_max_attempts then r.attempt else r.attempt + 1 end,
        error_code = 'STALE_RUNNING',
        error_message = format('no progress for %s minutes', p_max_age_minutes),
        finished_at = case when r.attempt >= p_max_attempts then clock_timestamp() end,
        next_attempt_at = case
          when r.attempt >= p_max_attempts then clock_timestamp() + interval '1 day' end,
        priority = wanted_priority(r.symbol, r.priority)
        from stale where r.id = stale.id
      returning r.status
    )
    select count(*) filter (where status = 'queued'), count(*) filter (where status = 'failed')
      from reset;
  perform pg_notify('swiftbolt_work', '');
end
$$;

-- How far a definition is, as the API and the progress bars tell it. Percent and completeness count
-- settled sessions of its window before today; slices are the job_runs of its window.
create function get_job_progress(p_job_def_id uuid)
returns table (total_slices integer, completed_slices integer, running_slices integer,
  queued_slices integer, failed_slices integer, progress_percent integer, bars_written integer,
  sessions integer, sessions_settled integer, complete boolean)
language sql stable security definer as $$
  with definition as (
    select d.*, s.id as symbol_id,
      greatest(market_today() - d.window_days, first_fetched_day()) as first_day
      from job_definitions d join symbols s on s.ticker = d.symbol where d.id = p_job_def_id
  ), days as (
    select count(*)::integer as sessions,
      (count(*) filter (where c.state = 'final'))::integer as settled
      from definition d
      join market_sessions m on m.day >= d.first_day and m.day < market_today()
      left join session_coverage c on c.symbol_id = d.symbol_id and c.day = m.day
  ), runs as (
    select (count(*) filter (where r.status = 'success'))::integer as success,
      (count(*) filter (where r.status = 'running'))::integer as running,
      (count(*) filter (where r.status = 'queued'))::integer as queued,
      (count(*) filter (where r.status = 'failed'))::integer as failed,
      coalesce(sum(r.rows_written), 0)::integer as written
      from definition d join job_runs r on r.job_def_id = d.id
       and r.status <> 'cancelled' and (r.last_day is null or r.last_day >= d.first_day)
  )
  select r.success + r.running + r.queued + r.failed, r.success, r.running, r.queued, r.failed,
    case when y.sessions = 0 then 100 else y.settled * 100 / y.sessions end, r.written,
    y.sessions, y.settled, y.settled = y.sessions
    from definition d cross join days y cross join runs r
$$;

-- The owner's rights are for what these functions do, not for what a caller makes of their names.
do $$
begin
  execute format(
    'alter function get_job_progress(uuid) set search_path = %I, pg_temp', current_schema());
end
$$;
