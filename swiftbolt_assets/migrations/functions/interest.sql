-- What follows from a row of interest, and what its owner sees of it.

-- A row's priority is its source's, whatever a client sends.
create or replace function set_tracking_priority() returns trigger language plpgsql as $$
begin
  new.priority := coalesce(
    (select priority from interest_priorities where source = new.source), new.priority);
  return new;
end
$$;

create or replace trigger user_symbol_tracking_priority before insert or update on user_symbol_tracking
  for each row execute function set_tracking_priority();

-- Interest that raises nothing is interest in a seeded definition all the same.
create or replace function auto_create_jobs_for_tracked_symbols() returns trigger
language plpgsql security definer
set search_path = public, pg_temp as $$
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

create or replace trigger trigger_auto_create_jobs after insert or update on user_symbol_tracking
  for each row execute function auto_create_jobs_for_tracked_symbols();

-- As the owner: people may neither read the queue nor write to it.
create or replace function hand_down_interest() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  perform hand_down((
    select array_agg(distinct s.ticker) from changed c join symbols s on s.id = c.symbol_id));
  return null;
end
$$;

create or replace trigger user_symbol_tracking_begun after insert on user_symbol_tracking
  referencing new table as changed for each statement execute function hand_down_interest();

create or replace trigger user_symbol_tracking_over after delete on user_symbol_tracking
  referencing old table as changed for each statement execute function hand_down_interest();

-- Fifty symbols a user over all watchlists.
create or replace function limit_watchlist_items() returns trigger language plpgsql security definer
set search_path = public, pg_temp as $$
declare
  holder uuid;
begin
  -- Two additions at once would both find room.
  select user_id into holder from watchlists where id = new.watchlist_id;
  perform pg_advisory_xact_lock(hashtextextended('watchlist ' || holder, 0));
  if (select count(*) from watchlist_items i join watchlists w on w.id = i.watchlist_id
       where w.user_id = holder) >= 50 then
    raise exception using
      errcode = 'check_violation',
      message = 'watchlist: it holds 50 symbols, the most there may be; remove one first';
  end if;
  return new;
end
$$;

create or replace trigger watchlist_items_limit before insert on watchlist_items
  for each row execute function limit_watchlist_items();

-- One row a tracked symbol and source. Bars count within the widest window of the enabled
-- definitions, for older ones are kept but were not asked for; runs count for the symbol in all
-- timeframes.
create or replace function get_user_tracked_symbols_status(p_user_id uuid)
returns table (
  symbol text, source text, priority integer, tracked_at timestamptz,
  m15_bars bigint, h1_bars bigint, h4_bars bigint, jobs_pending bigint, jobs_running bigint
)
language sql stable as $$
  with tracked as materialized (
    select u.symbol_id, s.ticker, u.source, u.priority, u.created_at
      from user_symbol_tracking u join symbols s on s.id = u.symbol_id
     where u.user_id = p_user_id
  ), known as materialized (
    select distinct t.symbol_id, t.ticker, market_today() as today from tracked t
  ), windows as materialized (
    select k.symbol_id, d.timeframe, k.today, max(d.window_days) as window_days
      from known k join job_definitions d on d.symbol = k.ticker and d.enabled
     where d.timeframe = any (stored_timeframes()) and d.job_type <> 'run_forecast'
     group by k.symbol_id, d.timeframe, k.today
  ), bars as (
    select w.symbol_id, w.timeframe, b.bars
      from windows w
      cross join lateral (
        select count(distinct o.ts) as bars
          from ohlc_bars_v2 o
         where o.symbol_id = w.symbol_id and o.timeframe = w.timeframe and not o.is_forecast
           and o.ts >= new_york_midnight(w.today - w.window_days)
           and o.ts < new_york_midnight(w.today + 1)
      ) b
  ), counted as (
    select b.symbol_id,
      sum(b.bars) filter (where b.timeframe = 'm15') as m15,
      sum(b.bars) filter (where b.timeframe = 'h1') as h1,
      sum(b.bars) filter (where b.timeframe = 'h4') as h4
      from bars b
     group by b.symbol_id
  ), jobs as (
    select k.symbol_id,
      count(*) filter (where r.status = 'queued') as pending,
      count(*) filter (where r.status = 'running') as running
      from known k join job_runs r on r.symbol = k.ticker and r.status in ('queued', 'running')
     group by k.symbol_id
  )
  select t.ticker, t.source, t.priority, t.created_at,
    coalesce(c.m15, 0)::bigint, coalesce(c.h1, 0)::bigint, coalesce(c.h4, 0)::bigint,
    coalesce(j.pending, 0), coalesce(j.running, 0)
    from tracked t
    left join counted c using (symbol_id)
    left join jobs j using (symbol_id)
   order by t.priority desc, t.created_at desc, t.ticker, t.source
$$;

revoke all on function
  set_tracking_priority(), auto_create_jobs_for_tracked_symbols(), hand_down_interest(),
  limit_watchlist_items(), get_user_tracked_symbols_status(uuid)
  from public, anon, authenticated, service_role;
grant execute on function
  get_user_tracked_symbols_status(uuid)
  to authenticated, service_role;
