-- As it was: five attempts, a refusal is final at once, five minutes of rest.
drop function fail_slices(text, text, text, boolean, double precision, date, date, integer);
drop function release_claims(uuid[], text, date, date, text);
drop function release_abandoned();

-- How long after its n-th failure a slice waits: half a minute, doubling, a quarter hour at most.
create or replace function retry_delay(p_attempt integer) returns interval language sql immutable parallel safe
  return least(interval '15 minutes', interval '30 seconds' * (2 ^ least(p_attempt - 1, 10)));

-- Takes all due slices of the symbol that is wanted most, of equal ones the one that waits longest;
-- a symbol that is claimed already is left out. Newest slice first; no row when nothing is due.
-- What was settled meanwhile needs no run; what reaches today waits until the day is over.
create or replace function claim_symbol(p_claim uuid, p_least_priority integer)
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

-- What failed for a passing reason is tried anew when its time has come, everything that failed when
-- a person asks. Of the same slice twice, one goes: it may be at work once only.
create or replace function requeue_failed(p_symbol text, p_at_once boolean) returns integer
language plpgsql as $$
declare
  requeued integer;
begin
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

revoke all on function fail_slices(text, text, text, boolean, integer),
  release_claims(uuid[], text, date, date, text, integer), release_abandoned(integer)
  from public, anon, authenticated, service_role;

drop function may_be_claimed(text), give_up_refused(text), ask_provider(text, text, boolean, double precision),
  end_waits(text[], integer), provider_answered(text, text),
  provider_failed(text, text, text, text, text), note_refusal(text, text, text),
  others_answered(text, timestamptz), refusal_delay(integer), is_due(timestamptz, timestamptz);
drop index provider_requests_failed, provider_requests_answered;
alter table provider_requests drop column market_at;
alter table job_runs drop column next_attempt_market_at;
drop table symbol_refusals;
alter table provider_health drop column symbols, drop column for_all, drop column failing_since,
  drop column probe_symbol, drop column probe_until;
