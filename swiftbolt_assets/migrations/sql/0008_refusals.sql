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
-- From now on only an answer ends a cool-down.
update provider_health set failures = 0, cooling_until = null where cooling_until <= clock_timestamp();

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

-- Whether a wait is over, by either clock.
create function is_due(p_at timestamptz, p_market_at timestamptz) returns boolean
language sql volatile parallel safe as $$
  select p_at is null or p_at <= clock_timestamp() or coalesce(p_market_at <= market_now(), false)
$$;

-- How long after its n-th failure a slice waits: half a minute, doubling, four hours at most.
create or replace function retry_delay(p_attempt integer) returns interval
language sql immutable parallel safe
  return least(interval '4 hours', interval '30 seconds' * (2 ^ least(p_attempt - 1, 10)));

-- How long after its n-th refusal a symbol or slice waits.
create function refusal_delay(p_refusals integer) returns interval language sql immutable parallel safe
  return (array['1 minute', '15 minutes', '4 hours', '1 day']::interval[])[least(greatest(p_refusals, 1), 4)];

-- Whether bars of another symbol were answered around an instant of the market clock.
create function others_answered(p_symbol text, p_at timestamptz) returns boolean language sql stable as $$
  select exists (
    select from provider_requests
     where outcome = 'ok' and provider = 'polygon' and symbol <> p_symbol
       and endpoint like '/v2/aggs/%'
       and market_at between p_at - interval '15 minutes' and p_at + interval '15 minutes')
$$;

-- Notes that a symbol was refused; returns whether that is final, and until when it waits otherwise.
-- Final is what came again in the same words after hours while others were answered, both times; or,
-- where no other was asked in between, a day later.
create function note_refusal(p_symbol text, p_code text, p_message text,
  out is_final boolean, out next_at timestamptz, out next_market_at timestamptz)
language plpgsql as $$
declare
  at timestamptz := market_now();
  print text := regexp_replace(p_message, '[0-9]+', '#', 'g');
  known symbol_refusals;
  pause interval;
begin
  insert into symbol_refusals
    (symbol, error_code, message, fingerprint, refusals, first_refused_at, last_refused_at)
  values (p_symbol, p_code, p_message, print, 0, at, at) on conflict (symbol) do nothing;
  select * into strict known from symbol_refusals where symbol = p_symbol for update;
  -- Also where the clock was set back.
  if known.fingerprint <> print or known.first_refused_at > at then
    known.first_refused_at := at;
  end if;
  is_final := (at - known.first_refused_at >= interval '4 hours'
      and others_answered(p_symbol, known.first_refused_at) and others_answered(p_symbol, at))
    or (at - known.first_refused_at >= interval '1 day' and not exists (
      select from provider_requests
       where provider = 'polygon' and symbol <> p_symbol and endpoint like '/v2/aggs/%'
         and coalesce(market_at, sent_at) between known.first_refused_at and at));
  pause := refusal_delay(known.refusals + 1);
  if not is_final and not others_answered(p_symbol, known.first_refused_at) then
    -- It proves nothing, and so nothing is gained by asking four hours after it.
    known.first_refused_at := at;
    if pause = interval '4 hours' then
      pause := interval '1 day';
    end if;
  end if;
  if not is_final then
    next_at := clock_timestamp() + pause;
    next_market_at := case when pause >= interval '1 hour' then at + pause end;
  end if;
  update symbol_refusals set error_code = p_code, message = p_message, fingerprint = print,
    refusals = known.refusals + 1, first_refused_at = known.first_refused_at, last_refused_at = at,
    next_attempt_at = next_at, next_attempt_market_at = next_market_at,
    final_at = case when is_final then at end
   where symbol = p_symbol;
end
$$;

-- Another symbol is answered: that may be what a refusal of this moment, too, lacked to be final.
create function give_up_refused(p_answered text) returns void language plpgsql as $$
declare
  refused record;
begin
  for refused in
    select f.symbol from symbol_refusals f
     where f.final_at is null and f.symbol <> p_answered
       and f.last_refused_at between market_now() - interval '15 minutes' and market_now()
       and f.last_refused_at - f.first_refused_at >= interval '4 hours'
       and others_answered(f.symbol, f.first_refused_at)
     order by f.symbol for update
  loop
    update symbol_refusals set final_at = market_now(), next_attempt_at = null,
      next_attempt_market_at = null
     where symbol = refused.symbol;
    with held as materialized (
      select r.id from job_runs r
       where r.symbol = refused.symbol and r.status = 'queued' and r.claim_id is null
       order by r.id for update
    )
    update job_runs r set status = 'failed', finished_at = clock_timestamp(),
      next_attempt_at = null, next_attempt_market_at = null
      from held where r.id = held.id;
  end loop;
end
$$;

-- A failure of a request: of the `key` (stops all at once), a `refusal`, or an `outage`. Three outages
-- in a row let the symbols rest that failed; three symbols without an answer in between, all of them.
-- The rest is a quarter of the time that nothing was answered, 5 s at least.
create function provider_failed(
  p_provider text, p_symbol text, p_kind text, p_code text, p_reason text) returns void
language plpgsql as $$
declare
  health provider_health;
  longest double precision := case p_kind when 'refusal' then 3600 else 600 end;
begin
  insert into provider_health (provider) values (p_provider) on conflict do nothing;
  select * into strict health from provider_health where provider = p_provider for update;
  -- Who was refused before says nothing new of the provider.
  if p_kind = 'refusal' and p_provider = 'polygon' and health.cooling_until is null
    and exists (select from symbol_refusals where symbol = p_symbol) then
    return;
  end if;
  health.failing_since := coalesce(health.failing_since, clock_timestamp());
  health.symbols := array_remove(health.symbols, p_symbol) || p_symbol;
  health.symbols := health.symbols[greatest(cardinality(health.symbols) - 99, 1):];
  health.failures := health.failures + (p_kind <> 'refusal')::integer;
  health.for_all := p_kind = 'key' or cardinality(health.symbols) >= 3
    or (health.cooling_until is not null and health.for_all);
  if health.cooling_until is not null or health.for_all or health.failures >= 3 then
    health.cooling_until := clock_timestamp() + make_interval(secs => least(longest, greatest(5,
      extract(epoch from clock_timestamp() - health.failing_since)
        -- What has lasted for minutes lasts on: half of it costs half of the probes.
        / case when clock_timestamp() - health.failing_since < interval '2 minutes' then 4 else 2 end)));
  end if;
  update provider_health set failures = health.failures, cooling_until = health.cooling_until,
    reason = p_reason, error_code = p_code, symbols = health.symbols, for_all = health.for_all,
    failing_since = health.failing_since, probe_symbol = null, probe_until = null,
    changed_at = clock_timestamp()
   where provider = p_provider;
  if health.for_all and p_provider = 'polygon' then
    -- What was refused in a bad hour is no evidence.
    update symbol_refusals set fingerprint = '', refusals = 0, next_attempt_at = null
     where symbol = any(health.symbols) and final_at is null;
  end if;
end
$$;

-- A request was answered. The end of a cool-down wakes whoever waited for it; who failed again and
-- again by itself waits on.
create function provider_answered(p_provider text, p_symbol text) returns void language plpgsql as $$
declare
  health provider_health;
begin
  if p_provider = 'polygon' then
    delete from symbol_refusals where symbol = p_symbol;
    if found then
      perform end_waits(array[p_symbol], 1);
    end if;
    perform give_up_refused(p_symbol);
  end if;
  select * into health from provider_health
   where provider = p_provider
     and (failures > 0 or cooling_until is not null or failing_since is not null) for update;
  if not found then
    return;
  end if;
  update provider_health set failures = 0, cooling_until = null, reason = null, error_code = null,
    symbols = '{}', for_all = true, failing_since = null, probe_symbol = null, probe_until = null,
    changed_at = clock_timestamp()
   where provider = p_provider;
  if health.cooling_until is null
    or not (health.for_all or coalesce(p_symbol = any(health.symbols), false)) then
    return;
  end if;
  if p_provider = 'polygon' then
    perform end_waits(case when not health.for_all then health.symbols end, 3);
    perform pg_notify('swiftbolt_work', '');
  else
    update live_refreshes set retry_at = clock_timestamp()
     where retry_at > clock_timestamp() and failures <= 3;
  end if;
end
$$;

-- Makes waiting slices due, of some symbols or of all, that were not tried more often than this.
create function end_waits(p_symbols text[], p_most_attempts integer) returns void language sql as $$
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

-- Whether a symbol may be asked for now: `wait_s` is null then. While a provider cools down nobody is;
-- after that one request is, as a probe, and its end decides for all. A person's command need not wait.
create function ask_provider(
  p_provider text, p_symbol text, p_at_once boolean, p_lease_s double precision,
  out is_probe boolean, out wait_s double precision, out is_failing boolean)
language plpgsql as $$
declare
  health provider_health;
  at timestamptz;
begin
  is_probe := false;
  -- The latest request failed, in all its attempts: one is enough to learn that the next does, too.
  is_failing := exists (
    select from provider_health where provider = p_provider and failures > 0);
  perform from provider_health
    where provider = p_provider and cooling_until is not null
      and (for_all or p_symbol = any(symbols));
  if not found then
    return;
  end if;
  select * into health from provider_health where provider = p_provider for update;
  at := clock_timestamp();
  if health.cooling_until is null then
    return;
  end if;
  if not p_at_once and not (health.probe_symbol is not distinct from p_symbol
      and health.probe_until > at) then
    wait_s := extract(epoch from health.cooling_until - at);
    if health.probe_until > at then
      wait_s := greatest(wait_s, 5);
    end if;
    if wait_s > 0 then
      return;
    end if;
  end if;
  wait_s := null;
  is_probe := true;
  update provider_health
     set probe_symbol = p_symbol, probe_until = at + make_interval(secs => p_lease_s)
   where provider = p_provider;
end
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

-- Whether nobody works on a symbol, and a refused one's wait is over. It also is when others are
-- answered just now and hours have passed: that tells more than another refusal in the dark.
create function may_be_claimed(p_symbol text) returns boolean language sql volatile as $$
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

-- What a run's failure does to its symbol's slices; no passing reason fails one for good. What the
-- provider as a whole is the reason of, or what says how long to wait, uses up no attempt. A refusal
-- is the symbol's, or, where the symbol was answered before, the slice's that had begun. Slices that
-- had not begun wait on, unclaimed. Of days that no slice holds one is made, so that they are asked
-- for again. Returns the rows that failed for good.
drop function fail_slices(text, text, text, boolean, integer);
create function fail_slices(
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

-- Gives back what claims hold whose runs are over, all of it or some days': begun slices have used up
-- an attempt. With a code the run failed by itself: all its slices have, and they wait a while. So do
-- those whose runs died five times. Returns the rows given back.
drop function release_claims(uuid[], text, date, date, text, integer);
create function release_claims(
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

-- Gives back what a command began and left: nobody holds the symbol's turn any more (`symbol_turn` in
-- resources/ledger.py). Rows of a worker from outside name no provider; they have an hour.
drop function release_abandoned(integer);
create function release_abandoned() returns integer language plpgsql as $$
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

revoke all on function is_due(timestamptz, timestamptz), refusal_delay(integer),
  others_answered(text, timestamptz), note_refusal(text, text, text),
  provider_failed(text, text, text, text, text), provider_answered(text, text),
  give_up_refused(text), end_waits(text[], integer), ask_provider(text, text, boolean, double precision),
  may_be_claimed(text),
  fail_slices(text, text, text, boolean, double precision, date, date, integer),
  release_claims(uuid[], text, date, date, text), release_abandoned()
  from public, anon, authenticated, service_role;

-- Older versions failed slices for what passes.
select requeue_failed(null, true);
