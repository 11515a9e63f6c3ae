-- What no person looks at never delays what one does.

-- Whose idea a definition is: the installation's own, until anybody asks for it or changes it; tracked
-- interest's, which may end; or of somebody who asked by name, and means the priority that it has.
alter table job_definitions add column origin text not null default 'asked'
  check (origin in ('seed', 'interest', 'asked'));
update job_definitions d set origin = 'interest'
 where not d.pinned and exists (
   select from user_symbol_tracking t join symbols s on s.id = t.symbol_id
    where s.ticker = d.symbol);
-- Where an operator has been, the row's time says so; seeding took one transaction.
update job_definitions d set origin = 'seed'
 where d.job_type = 'fetch_intraday' and d.origin = 'asked' and not d.pinned
   and d.created_at = d.updated_at
   and (d.priority < 100 or (d.symbol, d.timeframe, d.priority, d.window_days) = ('AAPL', 'm15', 200, 730));
-- The place that it was announced with, a moment ago where the database is new.
delete from rate_waiter where holder like 'announced %';

create function claim_seed() returns trigger language plpgsql as $$
begin
  new.origin := 'asked';
  return new;
end
$$;
create trigger job_definitions_claimed before update on job_definitions
  for each row when (old.origin = 'seed' and new.origin = 'seed') execute function claim_seed();

-- How much a symbol is wanted: 200 and more is for what people look at, also where they have looked
-- before; what the installation has thought of itself comes after all that anybody has asked for.
create or replace view wanted_symbols as
  select d.symbol, max(d.window_days) as window_days,
    max(least(d.priority, case
      when d.origin = 'asked' then d.priority
      when d.origin = 'seed' then 90
      when exists (
        select from user_symbol_tracking t join symbols s on s.id = t.symbol_id
         where s.ticker = d.symbol) then d.priority
      else 199 end)) as priority,
    min(d.created_at) as since,
    string_agg(d.timeframe::text || d.window_days || d.job_type, ' ' order by d.timeframe, d.job_type)
      as wanted
    from job_definitions d
   where d.enabled and d.job_type <> 'run_forecast' and d.timeframe in ('m15', 'h1', 'h4')
   group by d.symbol;

-- A changed priority counts for everything that is not under way yet. What somebody looks at gets a
-- place in the request queue before its run stands: for ten seconds less urgent work leaves it a slot.
create function hand_down(p_symbols text[]) returns void language plpgsql as $$
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
-- As the owner: people may neither read the queue nor write to it.
create function hand_down_interest() returns trigger language plpgsql security definer as $$
begin
  perform hand_down((
    select array_agg(distinct s.ticker) from changed c join symbols s on s.id = c.symbol_id));
  return null;
end
$$;

revoke all on function hand_down_interest(), hand_down(text[]), claim_seed()
  from public, anon, authenticated, service_role;
create trigger user_symbol_tracking_begun after insert on user_symbol_tracking
  referencing new table as changed for each statement execute function hand_down_interest();
create trigger user_symbol_tracking_over after delete on user_symbol_tracking
  referencing old table as changed for each statement execute function hand_down_interest();

-- Interest that raises nothing is interest in a seeded definition all the same.
create or replace function auto_create_jobs_for_tracked_symbols() returns trigger
language plpgsql security definer as $$
begin
  insert into job_definitions as d (job_type, symbol, timeframe, window_days, priority, enabled, origin)
  select 'fetch_intraday', s.ticker, w.timeframe, w.window_days, new.priority, true, 'interest'
    from symbols s cross join interest_windows w
   where s.id = new.symbol_id
   order by w.timeframe
  on conflict (symbol, timeframe, job_type) do update set
    enabled = true,
    priority = greatest(d.priority, excluded.priority),
    window_days = greatest(d.window_days, excluded.window_days),
    origin = case when d.origin = 'seed' then 'interest' else d.origin end
  where not d.pinned and (d.origin = 'seed' or not d.enabled
    or d.priority < excluded.priority or d.window_days < excluded.window_days);
  return new;
end
$$;
-- So is a request for its completeness.
create or replace function ensure_job(
  p_symbol text, p_timeframe text, p_window_days integer, p_priority integer)
returns uuid language plpgsql security definer as $$
declare
  wanted timeframe := parse_timeframe(p_timeframe);
  ticker text := canonical_symbol(p_symbol);
  days integer := least(greatest(p_window_days, 1), 36500);
  -- No caller gets before what people look at: a watchlist's is the highest.
  urgency integer := least(greatest(p_priority, 0), (select max(priority) from interest_priorities));
  definition uuid;
begin
  if wanted in ('d1', 'w1') then
    wanted := 'm15';
  end if;
  perform admit_symbols(array[ticker]);
  select d.id into definition from job_definitions d
   where d.symbol = ticker and d.timeframe = wanted and d.job_type = 'fetch_intraday'
     and (d.pinned or (d.origin <> 'seed' and d.enabled and d.window_days >= days and d.priority >= urgency));
  if definition is null then
    insert into job_definitions as d (job_type, symbol, timeframe, window_days, priority, enabled)
    values ('fetch_intraday', ticker, wanted, days, urgency, true)
    on conflict (symbol, timeframe, job_type) do update set
      enabled = d.enabled or not d.pinned,
      priority = case when d.pinned then d.priority else greatest(d.priority, excluded.priority) end,
      window_days = case
        when d.pinned then d.window_days else greatest(d.window_days, excluded.window_days) end,
      origin = case when d.origin = 'seed' then 'asked' else d.origin end
    returning d.id into definition;
  end if;
  -- Polls come often: what is planned already costs one look.
  if not exists (
    select from wanted_symbols w join symbol_plans p using (symbol)
     where w.symbol = ticker and p.wanted = w.wanted and not p.stale
       and p.last_day = (select max(day) from market_sessions where day < market_today())
  ) then
    perform plan_job_runs(ticker, 0);
  end if;
  return definition;
end
$$;
do $$
declare
  f text;
begin
  -- pg_temp last: a caller's temporary table must not pass for one of ours.
  foreach f in array array[
    'hand_down_interest()', 'auto_create_jobs_for_tracked_symbols()',
    'ensure_job(text, text, integer, integer)'
  ] loop
    execute format('alter function %s set search_path = %I, pg_temp', f, current_schema());
  end loop;
end
$$;

-- How many of a window's slots a request leaves free for what is wanted more: what people look at may
-- take the last one, what they asked for leaves one, all else has a quarter, one at least.
create function slots_left_free(p_priority integer, p_pace integer) returns integer
language sql immutable parallel safe as $$
  select case
    when p_priority >= 200 then 0
    when p_priority >= 100 then 1
    else p_pace - greatest(p_pace / 4, 1) end
$$;

drop function rate_try(text, bigint, integer, integer, double precision, text, integer, double precision);
-- One round trip of a caller that wants a slot: it stays in the queue, and gets a slot if one is
-- free for it. `slot` set: go now. Otherwise: wait poll_s and call again with the returned waiter;
-- eta_s is when the slot is expected. A limit that nobody configured takes p_n and p_window_s. Who
-- names a symbol rises with it while it waits.
create function rate_try(
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
