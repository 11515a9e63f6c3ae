-- Who works on which slices: claimed for a run, released, cancelled, given back by the dead.

-- Whether nobody works on a symbol, and a refused one's wait is over. It also is when others are
-- answered just now and hours have passed: that tells more than another refusal in the dark.
create or replace function may_be_claimed(p_symbol text) returns boolean language sql volatile as $$
  select not exists (
      select from job_runs o
       where o.symbol = p_symbol and o.status in ('queued', 'running') and o.claim_id is not null)
    and not exists (
      select from symbol_refusals f
       where f.symbol = p_symbol
         and (f.final_at is not null or not is_due(f.next_attempt_at, f.next_attempt_market_at))
         and not (f.final_at is null and f.refusals >= 3 and f.last_refused_at <= market_now() - interval '4 hours'
           and others_answered(p_symbol, market_now())))
$$;

-- Takes all due slices of the symbol that is wanted most, of equal ones the one that waits longest;
-- a symbol that is claimed already is left out. Newest slice first; no row when nothing is due.
-- What was settled meanwhile needs no run; what reaches today waits until the day is over.
-- Of a symbol that was refused, one slice: the one that was refused least. Who cools down is left
-- out; after that one symbol is taken as the probe, rather one that has not just failed.
create or replace function claim_symbol(p_claim uuid, p_least_priority integer)
returns table (symbol text, priority integer, first_day date, last_day date)
language plpgsql as $$
declare
  today date := market_today();
  earliest date := first_fetched_day();
  health provider_health;
  may_probe boolean;
  probes boolean;
  chosen text;
begin
  -- One at a time: two would each hold a row of the same symbol, and wait for the other's.
  perform pg_advisory_xact_lock(hashtextextended('claim_symbol', 0));
  select * into health from provider_health h
   where h.provider = 'polygon' and h.cooling_until is not null;
  may_probe := coalesce(health.cooling_until <= clock_timestamp()
    and (health.probe_until is null or health.probe_until <= clock_timestamp()), false);
  loop
    chosen := null;
    if health.provider is null or not health.for_all then
      select r.symbol into chosen
        from job_runs r
       where r.status = 'queued' and r.claim_id is null and r.priority >= p_least_priority
         and r.last_day < today and is_due(r.next_attempt_at, r.next_attempt_market_at)
         and (health.provider is null or not r.symbol = any(health.symbols))
         and may_be_claimed(r.symbol)
       order by r.priority desc, r.created_at
       limit 1;
    end if;
    probes := chosen is null and may_probe;
    if probes then
      select r.symbol into chosen
        from job_runs r
       where r.status = 'queued' and r.claim_id is null and r.priority >= p_least_priority
         and r.last_day < today and (health.for_all or r.symbol = any(health.symbols))
         and (is_due(r.next_attempt_at, r.next_attempt_market_at)
           or r.error_code in ('PROVIDER_UNAVAILABLE', 'API_ERROR'))
         and may_be_claimed(r.symbol)
       order by array_position(health.symbols, r.symbol) nulls first, r.priority desc, r.created_at
       limit 1;
    end if;
    if chosen is null then
      return;
    end if;
    perform settle_slices(s.id, '-infinity', today, null) from symbols s where s.ticker = chosen;
    return query
      with refused as (
        select x.first_day, x.last_day from job_runs x
         where x.symbol = chosen and x.status = 'queued' and x.claim_id is null
           and x.last_day < today
           and exists (select from symbol_refusals f where f.symbol = chosen)
         order by x.attempt, x.last_day desc limit 1
      ), due as materialized (
        select r.id from job_runs r
         where r.symbol = chosen and r.status = 'queued' and r.claim_id is null
           and r.last_day < today
           and case when exists (select from refused)
             then (r.first_day, r.last_day) = (select n.first_day, n.last_day from refused n)
             else is_due(r.next_attempt_at, r.next_attempt_market_at)
               or (probes and r.error_code in ('PROVIDER_UNAVAILABLE', 'API_ERROR')) end
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
      if probes then
        -- A run begins within this time.
        update provider_health h
           set probe_symbol = chosen, probe_until = clock_timestamp() + interval '30 seconds'
         where h.provider = 'polygon';
      end if;
      return;
    end if;
  end loop;
end
$$;

-- The contract's claim of one row, for a worker from outside: by priority, then age.
create or replace function claim_queued_job()
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

-- Gives back what claims hold whose runs are over, all of it or some days': begun slices have used up
-- an attempt. With a code the run failed by itself: all its slices have, and they wait a while.
-- Returns the rows given back.
create or replace function release_claims(
  p_claims uuid[], p_message text, p_first date default null, p_last date default null,
  p_code text default null)
returns integer language plpgsql as $$
declare
  released integer;
begin
  with held as materialized (
    select r.id, r.status = 'running' or p_code is not null as counts
      from job_runs r
     where r.claim_id = any(p_claims) and r.status in ('queued', 'running')
       and (p_first is null or (r.first_day <= p_last and r.last_day >= p_first))
     order by r.id for update
  )
  update job_runs r set
    status = 'queued',
    attempt = r.attempt + h.counts::integer,
    error_code = case when h.counts then coalesce(p_code, 'STALE_RUNNING') else r.error_code end,
    error_message = case when h.counts then p_message else r.error_message end,
    next_attempt_at = case
      when h.counts and (p_code is not null or r.attempt >= 5)
        then clock_timestamp() + retry_delay(r.attempt) end,
    next_attempt_market_at = null,
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
create or replace function cancel_claims(p_claims uuid[], p_message text) returns integer language plpgsql as $$
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

-- Gives back what a command began and left: nobody holds the symbol's turn any more (`symbol_turn` in
-- resources/bars/ledger.py). Rows of a worker from outside name no provider; they have an hour.
create or replace function release_abandoned() returns integer language plpgsql as $$
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
        status = 'queued', attempt = r.attempt + 1,
        error_code = 'STALE_RUNNING', error_message = 'the process that worked on it is gone',
        next_attempt_at = case
          when r.attempt >= 5 then clock_timestamp() + retry_delay(r.attempt) end,
        next_attempt_market_at = null,
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
create or replace function reset_stale_running_jobs(
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

revoke all on function
  may_be_claimed(text), claim_symbol(uuid,integer), claim_queued_job(),
  release_claims(uuid[],text,date,date,text), cancel_claims(uuid[],text), release_abandoned(),
  reset_stale_running_jobs(integer,integer)
  from public, anon, authenticated, service_role;
