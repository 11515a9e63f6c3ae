-- How much a symbol is wanted is one truth, for its slices as well: whoever changes it and whoever plans
-- take turns at its definitions. And whoever sees no bars yet is served first.

-- Read anew for each row: a row may have been waited for, and the truth have changed meanwhile.
alter function wanted_priority(text, integer) volatile;

-- Whose turn a request is among those that people wait for: 3, of a symbol without any history; 1, of one
-- whose newest session is not settled; 0, deeper history, and what no person looks at. A place that is
-- only announced is 2: it holds against deeper history, never against a request that is there.
create function request_turn(p_symbol text, p_priority integer) returns integer language sql stable as $$
  select case
    when p_priority < 200 or p_symbol is null then 0
    when not exists (
      select from session_coverage c join symbols s on s.id = c.symbol_id
       where s.ticker = p_symbol and c.day < (select market_today())) then 3
    when not exists (
      select from session_coverage c join symbols s on s.id = c.symbol_id
       where s.ticker = p_symbol and c.state = 'final'
         and c.day = (select max(m.day) from market_sessions m where m.day < (select market_today())))
      then 1
    else 0 end
$$;
revoke all on function request_turn(text, integer) from public, anon, authenticated, service_role;

alter table rate_waiter add column turn integer not null default 0;

-- A changed priority counts for every slice, also those under way: what is given back or retried has it.
-- The symbol's definitions are held meanwhile, so that none is planned by what was true before, and two
-- who cease to look at once see each other. What somebody looks at gets a place in the request queue
-- before its run stands: for ten seconds less urgent work leaves it a slot, and so does deeper history
-- where it has no bars at all yet.
create or replace function hand_down(p_symbols text[]) returns void language plpgsql as $$
begin
  if p_symbols is null then
    return;
  end if;
  perform from job_definitions d where d.symbol = any(p_symbols) order by d.id for no key update;
  delete from rate_waiter where id in (
    select id from rate_waiter
     where name = 'polygon' and (seen_until <= clock_timestamp() or holder in (
       -- Nobody looks at it any more.
       select 'announced ' || w.symbol from wanted_symbols w
        where w.symbol = any(p_symbols) and w.priority < 200))
       for update skip locked);
  insert into rate_waiter (name, priority, turn, seen_until, holder)
  select 'polygon', case when t.turn = 3 then w.priority else 199 end,
    case when t.turn = 3 then 2 else 0 end, clock_timestamp() + interval '10 seconds', 'announced ' || w.symbol
    from wanted_symbols w cross join lateral request_turn(w.symbol, w.priority) t (turn)
   where w.symbol = any(p_symbols) and w.priority >= 200
     and not exists (select from rate_waiter r where r.holder = 'announced ' || w.symbol);
  with waiting as materialized (
    select r.id, w.priority from job_runs r join wanted_symbols w on w.symbol = r.symbol
     where r.status = 'queued' and r.claim_id is null and r.priority <> w.priority
       and r.symbol = any(p_symbols)
     order by r.id for update of r
  )
  update job_runs r set priority = w.priority from waiting w where r.id = w.id;
  -- Whoever works on many symbols at once is not waited for: two would wait for each other.
  with others as materialized (
    select r.id, w.priority from job_runs r join wanted_symbols w on w.symbol = r.symbol
     where r.status in ('queued', 'running', 'failed') and r.priority <> w.priority
       and r.symbol = any(p_symbols)
     order by r.id for update of r skip locked
  )
  update job_runs r set priority = o.priority from others o where r.id = o.id;
  perform pg_notify('swiftbolt_work', '');
end
$$;
-- Also of what was switched off or taken away.
create or replace function hand_down_priority() returns trigger language plpgsql as $$
begin
  perform hand_down((select array_agg(distinct symbol) from changed));
  return null;
end
$$;
create trigger job_definitions_removed after delete on job_definitions
  referencing old table as changed for each statement execute function hand_down_priority();

-- Those of some symbols whose definitions nobody is changing; they stay as they are until the caller's
-- transaction ends, so that a slice is planned by what holds when it stands.
create function free_symbols(p_symbols text[]) returns text[] language sql volatile as $$
  with held as materialized (
    select d.id from job_definitions d where d.symbol = any(p_symbols)
     order by d.id for share skip locked
  )
  select coalesce(array_agg(s.symbol order by s.position), '{}')
    from unnest(p_symbols) with ordinality as s (symbol, position)
   where not exists (
     select from job_definitions d
      where d.symbol = s.symbol and not exists (select from held h where h.id = d.id))
$$;
revoke all on function free_symbols(text[]) from public, anon, authenticated, service_role;

-- Plans the symbols whose definitions, calendar or ledger changed, the most wanted first and at most so
-- many (null: all), or one symbol. Symbols below a priority stay unplanned; those that somebody is about
-- to change are left for the next look, which his commit announces. Returns how many rows of job_runs
-- were added, and how many symbols were planned: fewer than asked for means that none is left.
create or replace function plan_due_symbols(
  p_symbol text, p_least_priority integer, p_most integer, out added integer, out planned integer
) language plpgsql as $$
declare
  newest date := (select max(day) from market_sessions where day < market_today());
  due text[] := '{}';
  looked_at text[] := '{}';
  next_due text[];
  free text[];
  mirrored integer;
begin
  added := 0;
  planned := 0;
  -- One symbol is waited for, and before anybody waits for this one.
  perform from job_definitions d where d.symbol = p_symbol order by d.id for share;
  -- One planner at a time: two would both find the same sessions missing.
  perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
  perform requeue_failed(p_symbol, false);
  loop
    select array_agg(d.symbol) into next_due
      from (
        select coalesce(w.symbol, p.symbol) as symbol
          from wanted_symbols w full join symbol_plans p using (symbol)
         where (p_symbol is null or coalesce(w.symbol, p.symbol) = p_symbol)
           and (w.symbol is null or w.priority >= p_least_priority)
           and (p.wanted is distinct from coalesce(w.wanted, '') or p.stale or p.last_day <> newest)
           and coalesce(w.symbol, p.symbol) <> all(looked_at)
         -- What nobody wants any more comes last: it only has slices to lose.
         order by w.priority desc nulls last, w.since, coalesce(w.symbol, p.symbol)
         limit p_most - cardinality(due)
      ) d;
    exit when next_due is null or newest is null;
    free := free_symbols(next_due);
    due := due || free;
    looked_at := looked_at || next_due;
    exit when cardinality(free) = cardinality(next_due) or cardinality(due) = p_most;
  end loop;
  if cardinality(due) = 0 then
    return;
  end if;
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

-- One round trip of a caller that wants a slot: it stays in the queue, and gets a slot if one is
-- free for it. `slot` set: go now. Otherwise: wait poll_s and call again with the returned waiter;
-- eta_s is when the slot is expected. A limit that nobody configured takes p_n and p_window_s. Who
-- names a symbol rises with it while it waits, and sinks with the slice that it asks for. Among what
-- people look at, a symbol without any history goes first, then by priority, then the newest sessions.
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
  rank integer := coalesce(
    -- What a claim's slice says is kept true.
    (select max(r.priority) from job_runs r
      where p_name = 'polygon' and r.symbol = p_symbol and r.status = 'running'
        and r.claim_id is not null),
    greatest(p_priority, wanted_priority(p_symbol, p_priority)));
  its_turn integer := request_turn(p_symbol, rank);
  -- Its place in the queue is its own from now on.
  announced text := 'announced ' || p_symbol;
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
    update rate_waiter w set seen_until = at + interval '5 s', priority = rank, turn = its_turn
      where w.id = p_waiter and w.holder = p_holder
      returning w.id into waiter;
  end if;
  -- Waiters that stopped asking are dead.
  delete from rate_waiter w
    where w.name = p_name and (w.seen_until <= at or w.holder = announced);

  select count(*) into busy from rate_slot s where s.name = p_name;
  select count(*) into ahead from rate_waiter w
    where w.name = p_name and w.id is distinct from waiter
      and (greatest(w.turn, 1), w.priority, w.turn, -w.id)
        > (greatest(its_turn, 1), rank, its_turn, -coalesce(waiter, 9223372036854775807));
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
    insert into rate_waiter (name, priority, turn, seen_until, holder)
      values (p_name, rank, its_turn, at + interval '5 s', p_holder)
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

-- What was planned by what was true before.
with strayed as materialized (
  select r.id, w.priority from job_runs r join wanted_symbols w on w.symbol = r.symbol
   where r.status in ('queued', 'running', 'failed') and r.priority <> w.priority
   order by r.id for update of r
)
update job_runs r set priority = s.priority from strayed s where r.id = s.id;

-- Whether the live provider was asked about all of a session: then its bars are shown, though the final
-- ones are still to be fetched.
alter table session_coverage add column live_whole boolean not null default false;
update session_coverage c set live_whole = true
  from live_refreshes l, market_sessions m
 where l.symbol_id = c.symbol_id and m.day = c.day and c.state = 'provisional' and c.bars > 0
   and c.day = (l.closed_through at time zone 'America/New_York')::date and l.closed_through >= m.closes;

-- How far a definition is, as those who wait for it see it: a session that is over and whose live bars are
-- all there is shown, also when New York's date has changed and its final bars are not there yet.
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
do $$
begin
  execute format(
    'alter function get_job_progress(uuid) set search_path = %I, pg_temp', current_schema());
end
$$;

-- What has just been listed is in the index itself: the list of what is still to be entered there was read
-- as a whole by each search, until a vacuum came by.
alter index listed_tickers_words set (fastupdate = off);
alter index symbols_words_search set (fastupdate = off);
select gin_clean_pending_list(format('%I.%I', current_schema(), one)::regclass)
  from unnest(array['listed_tickers_words', 'symbols_words_search']) one;
