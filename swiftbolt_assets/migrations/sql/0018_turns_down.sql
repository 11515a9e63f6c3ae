-- Turns as revision 0017 has them.
alter index listed_tickers_words reset (fastupdate);
alter index symbols_words_search reset (fastupdate);
alter function wanted_priority(text, integer) stable;
drop trigger job_definitions_removed on job_definitions;
create or replace function hand_down(p_symbols text[]) returns void language plpgsql as $$
begin
  if p_symbols is null then
    return;
  end if;
  delete from rate_waiter where id in (
    select id from rate_waiter where name = 'polygon' and seen_until <= clock_timestamp()
       for update skip locked);
  insert into rate_waiter (name, priority, seen_until, holder)
  select 'polygon', 199, clock_timestamp() + interval '10 seconds', 'announced ' || w.symbol
    from wanted_symbols w
   where w.symbol = any(p_symbols) and w.priority >= 200
     and not exists (select from rate_waiter r where r.holder = 'announced ' || w.symbol);
  with raised as materialized (
    select r.id, w.priority from job_runs r join wanted_symbols w on w.symbol = r.symbol
     where r.status = 'queued' and r.claim_id is null and r.priority <> w.priority
       and r.symbol = any(p_symbols)
     order by r.id for update of r
  )
  update job_runs r set priority = w.priority from raised w where r.id = w.id;
  perform pg_notify('swiftbolt_work', '');
end
$$;
create or replace function hand_down_priority() returns trigger language plpgsql as $$
begin
  perform hand_down((select array_agg(distinct symbol) from changed where enabled));
  return null;
end
$$;
create or replace function plan_due_symbols(
  p_symbol text, p_least_priority integer, p_most integer, out added integer, out planned integer
) language plpgsql as $$
declare
  newest date := (select max(day) from market_sessions where day < market_today());
  due text[];
  mirrored integer;
begin
  added := 0;
  planned := 0;
  -- One planner at a time: two would both find the same sessions missing.
  perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
  perform requeue_failed(p_symbol, false);
  select array_agg(d.symbol) into due
    from (
      select coalesce(w.symbol, p.symbol) as symbol
        from wanted_symbols w full join symbol_plans p using (symbol)
       where (p_symbol is null or coalesce(w.symbol, p.symbol) = p_symbol)
         and (w.symbol is null or w.priority >= p_least_priority)
         and (p.wanted is distinct from coalesce(w.wanted, '') or p.stale or p.last_day <> newest)
       -- What nobody wants any more comes last: it only has slices to lose.
       order by w.priority desc nulls last, w.since, coalesce(w.symbol, p.symbol)
       limit p_most
    ) d;
  if due is null or newest is null then
    return;
  end if;
  -- A definition that is deleted meanwhile would take its slices from under the plan.
  perform from job_definitions d where d.symbol = any(due) order by d.id for key share;
  begin
    -- Noted before the work: what changes during it is planned the next time.
    insert into symbol_plans (symbol, wanted, last_day)
    select s.symbol, coalesce(w.wanted, ''), newest
      from unnest(due) as s (symbol) left join wanted_symbols w using (symbol)
    on conflict (symbol) do update set
      wanted = excluded.wanted, last_day = excluded.last_day, stale = false,
      planned_at = clock_timestamp();
    perform cancel_unwanted_slices(due);
    mirrored := mirror_slices(due);
    added := insert_slices(due, newest) + mirrored;
    planned := cardinality(due);
  exception
    -- A definition came and went meanwhile: the next look plans without it.
    when foreign_key_violation then
      added := 0;
  end;
end
$$;
create or replace function begin_slices(p_symbol text, p_first date, p_last date) returns void language plpgsql as $$
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
create or replace function rate_try(
  p_name text, p_waiter bigint, p_priority integer, p_symbol text,
  p_lease_s double precision, p_holder text, p_n integer, p_window_s double precision,
  out waiter bigint, out slot bigint, out poll_s double precision, out eta_s double precision,
  out closed_s double precision
) language plpgsql as $$
declare
  lim rate_limit;
  at timestamptz;
  horizon interval;
  busy integer;
  ahead integer;
  needed integer;
  pace integer;
  rank integer := greatest(p_priority, wanted_priority(p_symbol, p_priority));
  opens timestamptz;
begin
  -- The counts below must see what the last holder of the row lock has committed.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'rate_try needs isolation level read committed, not %',
      current_setting('transaction_isolation');
  end if;
  -- A grant must outlive a killed server before its request leaves.
  if current_setting('synchronous_commit') in ('off', 'local') then
    perform set_config('synchronous_commit', 'on', true);
  end if;

  -- The row lock: one caller at a time counts and takes.
  select * into lim from rate_limit r where r.name = p_name for no key update;
  if not found then
    insert into rate_limit (name, n, window_s) values (p_name, p_n, p_window_s)
      on conflict do nothing;
    select * into strict lim from rate_limit r where r.name = p_name for no key update;
  end if;
  at := clock_timestamp();

  -- No honest row lies further ahead. One that does was written before the clock was set back.
  horizon := make_interval(secs => greatest(p_lease_s, 300) + lim.window_s);
  update rate_slot s set free_at = at + horizon
    where s.name = p_name and s.free_at > at + horizon;
  if lim.closed_until > at + interval '15 minutes'
    and (lim.closed_at > at or lim.closed_until > lim.closed_at + interval '1 day') then
    lim.closed_until := at + interval '15 minutes';
    update rate_limit r set closed_until = lim.closed_until, closed_at = at where r.name = p_name;
  end if;
  closed_s := greatest(0, extract(epoch from nullif(lim.closed_until, '-infinity') - at));
  if lim.refusals > 0 and rate_answered(lim) then
    lim.refusals := 0;
    update rate_limit r set refusals = 0 where r.name = p_name;
  end if;
  pace := rate_pace(lim);
  delete from rate_slot s where s.name = p_name and s.free_at <= at;

  if p_waiter is not null then
    update rate_waiter w set seen_until = at + interval '5 s', priority = rank
      where w.id = p_waiter and w.holder = p_holder
      returning w.id into waiter;
  end if;
  -- Waiters that stopped asking are dead.
  delete from rate_waiter w where w.name = p_name and w.seen_until <= at;

  select count(*) into busy from rate_slot s where s.name = p_name;
  select count(*) into ahead from rate_waiter w
    where w.name = p_name and w.id is distinct from waiter
      and (w.priority > rank
           or (w.priority = rank and (waiter is null or w.id < waiter)));
  -- How many rows must lapse first. What is left free never is the last slot, or nobody could go.
  needed := busy + ahead + least(slots_left_free(rank, pace), pace - 1) + 1 - pace;

  if needed <= 0 and lim.closed_until <= at then
    insert into rate_slot (name, free_at, holder)
      values (p_name, at + make_interval(secs => p_lease_s + lim.window_s), p_holder)
      returning rate_slot.slot into slot;
    delete from rate_waiter w where w.id = waiter;
    poll_s := 0;
    eta_s := 0;
    return;
  end if;

  if waiter is null then
    insert into rate_waiter (name, priority, seen_until, holder)
      values (p_name, rank, at + interval '5 s', p_holder)
      returning id into waiter;
  end if;
  opens := at;
  if needed > 0 and busy > 0 then
    select s.free_at into opens from rate_slot s where s.name = p_name
      order by s.free_at offset least(needed, busy) - 1 limit 1;
  end if;
  -- Those further back wait for whole rounds of the limit.
  opens := greatest(opens, lim.closed_until) + make_interval(
    secs => lim.window_s * ceil(greatest(needed - busy, 0)::double precision / pace));
  eta_s := greatest(0, extract(epoch from opens - at));
  -- Not behind the first: no use in asking more often than the first does.
  poll_s := least(1.0, greatest(case when ahead > 0 then 0.2 else 0.02 end, eta_s + 0.005));
end
$$;
drop function free_symbols(text[]);
drop function request_turn(text, integer);
alter table rate_waiter drop column turn;
create or replace function get_job_progress(p_job_def_id uuid)
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
do $$
begin
  execute format(
    'alter function get_job_progress(uuid) set search_path = %I, pg_temp', current_schema());
end
$$;
alter table session_coverage drop column live_whole;
