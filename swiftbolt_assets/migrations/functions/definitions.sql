-- What is wanted, how much, and how that reaches the slices.

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
   where d.enabled and d.job_type <> 'run_forecast' and d.timeframe = any (stored_timeframes())
   group by d.symbol;
revoke all on wanted_symbols from public, anon, authenticated, service_role;

-- A definition names a canonical ticker, and the ticker is a symbol.
create or replace function complete_job_definition() returns trigger language plpgsql as $$
begin
  new.symbol := canonical_symbol(new.symbol);
  insert into symbols (ticker) values (new.symbol) on conflict do nothing;
  return new;
end
$$;

create or replace trigger job_definitions_symbol before insert on job_definitions
  for each row execute function complete_job_definition();

-- So is a request for its completeness.
create or replace function ensure_job(
  p_symbol text, p_timeframe text, p_window_days integer, p_priority integer)
returns uuid language plpgsql security definer
set search_path = public, pg_temp as $$
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

-- What stands in a fresh installation, and who may call what.

-- An operator's upsert: it overwrites, up or down.
create or replace function seed_intraday_backfill_job(
  p_symbol text, p_timeframe text, p_window_days integer default 730, p_priority integer default 100)
returns uuid language plpgsql as $$
declare
  definition uuid;
begin
  if p_timeframe is null or p_timeframe <> all (stored_timeframes()::text[]) then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('p_timeframe: %s is none of %s', coalesce(p_timeframe, 'null'),
        array_to_string(stored_timeframes(), ', '));
  end if;
  insert into job_definitions as d (job_type, symbol, timeframe, window_days, priority, enabled)
  values ('fetch_intraday', canonical_symbol(p_symbol), p_timeframe::timeframe, p_window_days, p_priority, true)
  on conflict (symbol, timeframe, job_type) do update set
    window_days = excluded.window_days, priority = excluded.priority, enabled = true
  returning d.id into definition;
  return definition;
end
$$;

create or replace function claim_seed() returns trigger language plpgsql as $$
begin
  new.origin := 'asked';
  return new;
end
$$;

create or replace trigger job_definitions_claimed before update on job_definitions
  for each row when (old.origin = 'seed' and new.origin = 'seed') execute function claim_seed();

-- How much a symbol is wanted now, or what its slice says when nobody wants it.
create or replace function wanted_priority(p_symbol text, p_otherwise integer) returns integer
language sql volatile as $$
  select coalesce((select priority from wanted_symbols where symbol = p_symbol), p_otherwise)
$$;

-- How far back a symbol is wanted, null where nobody wants it (as `wanted_symbols` has it).
create or replace function wanted_window(p_symbol text) returns integer language sql stable as $$
  select max(window_days) from job_definitions
   where symbol = p_symbol and enabled and job_type <> 'run_forecast' and timeframe = any (stored_timeframes())
$$;

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

create or replace trigger job_definitions_added after insert on job_definitions
  referencing new table as changed for each statement execute function hand_down_priority();

create or replace trigger job_definitions_changed after update on job_definitions
  referencing new table as changed for each statement execute function hand_down_priority();

create or replace trigger job_definitions_removed after delete on job_definitions
  referencing old table as changed for each statement execute function hand_down_priority();

revoke all on function
  complete_job_definition(), ensure_job(text,text,integer,integer),
  seed_intraday_backfill_job(text,text,integer,integer), claim_seed(),
  wanted_priority(text,integer), wanted_window(text), hand_down(text[]), hand_down_priority()
  from public, anon, authenticated, service_role;
grant execute on function
  ensure_job(text,text,integer,integer)
  to authenticated, service_role;
