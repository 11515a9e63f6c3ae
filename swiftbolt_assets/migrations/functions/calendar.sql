-- How bars and ledger follow a session whose hours were changed.

-- Brings some symbols' bars of a day in line with its session: those outside go aside, those inside
-- come back, and hours that reach beyond the close are those of the quarter hours that are left.
-- Returns the symbols with a bar that moved.
create or replace function move_bars(p_day date, p_symbols uuid[], p_opens timestamptz, p_closes timestamptz)
returns uuid[] language plpgsql as $$
declare
  midnight timestamptz := new_york_midnight(p_day);
  tomorrow timestamptz := new_york_midnight(p_day + 1);
  moved uuid[];
  back uuid[];
begin
  with gone as (
    delete from ohlc_bars_v2 b
     where b.symbol_id = any(p_symbols) and b.timeframe = any (stored_timeframes())
       and b.ts >= midnight and b.ts < tomorrow and not (b.ts >= p_opens and b.ts < p_closes)
    returning b.*
  ), kept as (
    insert into bars_aside as a select * from gone
    -- A quarter hour that a run has stored meanwhile is newer; hours of it may be cut already.
    on conflict (symbol_id, timeframe, ts, provider, is_forecast) do update set
      open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
      volume = excluded.volume, vwap = excluded.vwap, trade_count = excluded.trade_count,
      data_status = excluded.data_status, fetched_at = excluded.fetched_at
      where a.timeframe = 'm15'
  )
  select coalesce(array_agg(distinct symbol_id), '{}') into moved from gone;
  with returned as (
    insert into ohlc_bars_v2
    select a.* from bars_aside a
     where a.symbol_id = any(p_symbols) and a.ts >= midnight and a.ts < tomorrow
       and a.ts >= p_opens and a.ts < p_closes
    -- What an answer has stored meanwhile is newer.
    on conflict do nothing
    returning symbol_id
  )
  select coalesce(array_agg(distinct symbol_id), '{}') into back from returned;
  moved := moved || back;
  with hours as materialized (
    select b.*, w.width
      from ohlc_bars_v2 b cross join lateral (select timeframe_width(b.timeframe) as width) w
     where b.symbol_id = any(moved) and b.timeframe = any (stored_timeframes())
       and b.timeframe <> 'm15' and not b.is_forecast
       and b.ts >= p_opens and b.ts < p_closes
       and (b.ts + w.width > p_closes or exists (
         select from bars_aside a
          where a.symbol_id = b.symbol_id and a.timeframe = b.timeframe and a.ts = b.ts
            and a.provider = b.provider and not a.is_forecast))
  ), parts as (
    -- One bar a quarter hour, of the same provider where it has one.
    select distinct on (h.symbol_id, h.timeframe, h.ts, h.provider, m.ts)
      h.symbol_id, h.timeframe, h.ts as starts, h.provider, m.ts, m.open, m.high, m.low, m.close,
      m.volume, m.vwap, m.trade_count
      from hours h
      join ohlc_bars_v2 m on m.symbol_id = h.symbol_id and m.timeframe = 'm15'
       and not m.is_forecast and m.ts >= h.ts and m.ts < least(h.ts + h.width, p_closes)
     order by h.symbol_id, h.timeframe, h.ts, h.provider, m.ts, m.provider <> h.provider, m.provider
  ), derived as (
    select symbol_id, timeframe, starts as ts, provider,
      (array_agg(open order by ts))[1] as open, max(high) as high, min(low) as low,
      (array_agg(close order by ts desc))[1] as close, sum(volume) as volume,
      sum(vwap * volume) filter (where vwap is not null)
        / nullif(sum(volume) filter (where vwap is not null), 0) as vwap,
      sum(trade_count)::bigint as trade_count
      from parts group by symbol_id, timeframe, starts, provider
  ), differing as materialized (
    select h.symbol_id, h.timeframe, h.ts, h.provider, d.ts is null as is_empty, d.open, d.high,
      d.low, d.close, d.volume, d.vwap, d.trade_count
      from hours h left join derived d using (symbol_id, timeframe, ts, provider)
     where d.ts is null or not is_same_bar(
       h.open, h.high, h.low, h.close, h.volume, d.open, d.high, d.low, d.close, d.volume)
  ), kept as (
    insert into bars_aside
    select b.* from ohlc_bars_v2 b join differing d using (symbol_id, timeframe, ts, provider)
     where not b.is_forecast
    on conflict do nothing
  ), emptied as (
    delete from ohlc_bars_v2 b using differing d
     where d.is_empty and b.symbol_id = d.symbol_id and b.timeframe = d.timeframe
       and b.ts = d.ts and b.provider = d.provider and not b.is_forecast
  )
  -- The bar that was kept aside, to the last digit, where it is the right one again.
  update ohlc_bars_v2 b set
    open = coalesce(a.open, d.open), high = coalesce(a.high, d.high),
    low = coalesce(a.low, d.low), close = coalesce(a.close, d.close),
    volume = coalesce(a.volume, d.volume),
    vwap = case when a.ts is null then d.vwap else a.vwap end,
    trade_count = case when a.ts is null then d.trade_count else a.trade_count end,
    data_status = coalesce(a.data_status, b.data_status),
    fetched_at = coalesce(a.fetched_at, b.fetched_at)
    from differing d
    left join bars_aside a on a.symbol_id = d.symbol_id and a.timeframe = d.timeframe
     and a.ts = d.ts and a.provider = d.provider and not a.is_forecast
     and is_same_bar(
       a.open, a.high, a.low, a.close, a.volume, d.open, d.high, d.low, d.close, d.volume)
   where not d.is_empty and b.symbol_id = d.symbol_id and b.timeframe = d.timeframe
     and b.ts = d.ts and b.provider = d.provider and not b.is_forecast;
  -- Last: the write rules let come back what lies here.
  delete from bars_aside a using ohlc_bars_v2 b
   where a.symbol_id = any(p_symbols) and a.ts >= midnight and a.ts < tomorrow
     and a.ts >= p_opens and a.ts < p_closes
     and b.symbol_id = a.symbol_id and b.timeframe = a.timeframe and b.ts = a.ts
     and b.provider = a.provider and b.is_forecast = a.is_forecast
     and (a.timeframe = 'm15' or a.is_forecast or is_same_bar(
       a.open, a.high, a.low, a.close, a.volume, b.open, b.high, b.low, b.close, b.volume));
  return moved;
end
$$;

-- Brings some symbols' ledger of a day in line with its session. A row of another number of quarter
-- hours goes aside; one that can tell of this session comes back, cut where it is longer: each quarter
-- hour was judged by itself. What no row can tell is missing, and is asked for. Returns the symbols
-- whose row is another one now.
create or replace function move_coverage(
  p_day date, p_symbols uuid[], p_opens timestamptz, p_closes timestamptz
) returns uuid[] language plpgsql as $$
declare
  slots integer := extract(epoch from p_closes - p_opens) / 900;
  moved uuid[];
  back uuid[];
begin
  delete from sessions_aside a using session_coverage c
   where c.symbol_id = any(p_symbols) and c.day = p_day and c.expected is distinct from slots
     and a.symbol_id = c.symbol_id and a.day = c.day and a.expected = c.expected;
  with gone as (
    delete from session_coverage c
     where c.symbol_id = any(p_symbols) and c.day = p_day and c.expected is distinct from slots
    returning c.*
  ), kept as (
    insert into sessions_aside select * from gone
  )
  select coalesce(array_agg(symbol_id), '{}') into moved from gone;
  if slots is null then
    return moved;
  end if;
  with newest as (
    select distinct on (a.symbol_id) a.*
      from sessions_aside a
     where a.symbol_id = any(p_symbols) and a.day = p_day and a.expected >= slots
       and not exists (
         select from session_coverage c where c.symbol_id = a.symbol_id and c.day = a.day)
     order by a.symbol_id, a.checked_at desc
  ), cut as (
    select n.*, k.stored,
      (select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(n.absences) e
        where e.key::timestamptz < p_closes) as absent,
      (select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(n.witness) e
        where e.key::timestamptz < p_closes) as seen,
      (select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(n.marks) e
        where e.key::timestamptz < p_closes) as marked
      from newest n
      cross join lateral (
        select count(*)::integer as stored from ohlc_bars_v2 b
         where b.symbol_id = n.symbol_id and b.timeframe = 'm15' and not b.is_forecast
           and b.provider = n.provider and b.ts >= p_opens and b.ts < p_closes) k
  ), doubts as (
    select c.*,
      case
        when c.stored = 0 then case when c.reason = 'unconfirmed' then slots else 0 end
        else (select count(*)::integer from jsonb_each_text(c.absent) e where e.value = 'unconfirmed')
      end as doubted,
      c.stored > 0 and c.marked = '{}' and not exists (
        select from jsonb_each_text(c.absent) e
         where e.value in ('unconfirmed', 'rejected', 'halted')) as is_sure
      from cut c
     -- Bars that have come or gone since speak against it.
     where case
       when c.state = 'provisional' then true
       when c.stored = 0 then c.bars = 0
       when c.expected = slots then c.bars = c.stored
       else c.stored + (select count(*) from jsonb_object_keys(c.absent)) = slots end
  ), returned as (
    insert into session_coverage (symbol_id, day, state, reason, expected, bars, answers, absences,
      provider, request_id, settled_at, ask_again_at, unconfirmed, doubted_at, witness, marks,
      live_whole)
    select symbol_id, day, state,
      case
        when stored > 0 then null
        when state = 'provisional' then 'not_fetched'
        else reason end,
      slots, stored, answers, case when stored > 0 then absent else '{}' end, provider, request_id,
      settled_at, case when not is_sure then ask_again_at end, doubted,
      case when not is_sure then doubted_at end,
      case when witness is not null then seen end, marked, live_whole
      from doubts
    returning symbol_id
  )
  select coalesce(array_agg(symbol_id), '{}') into back from returned;
  delete from sessions_aside
   where symbol_id = any(p_symbols) and day = p_day and expected = slots;
  return moved || back;
end
$$;

-- Brings all that rests on some days' sessions in line with them: bars, ledger, how far each symbol
-- reaches, slices. Of all symbols where none are named: then what is missing now is planned, too.
create or replace function follow_calendar(p_days date[], p_symbols uuid[] default null) returns void
language plpgsql as $$
declare
  whom uuid[] := coalesce(p_symbols, (select array_agg(id) from symbols));
  earliest date := market_today();
  one date;
  midnight timestamptz;
  tomorrow timestamptz;
  opens_at timestamptz;
  closes_at timestamptz;
  moved uuid[];
begin
  if p_symbols is null then
    -- Before any row: planners hold rows of many symbols as well.
    perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
    update symbol_plans set stale = true
     where not stale and (select min(d) from unnest(p_days) d) < market_today();
    -- A new database: thousands of days, and nothing that rests on them.
    if whom is null or not (exists (select from ohlc_bars_v2) or exists (select from bars_aside)
      or exists (select from session_coverage) or exists (select from job_runs)) then
      return;
    end if;
    earliest := least(earliest, (select min(day) from session_coverage),
      (select min(day) from sessions_aside),
      (select min(first_day) from job_runs where status in ('queued', 'running', 'failed')));
  end if;
  foreach one in array p_days loop
    midnight := new_york_midnight(one);
    tomorrow := new_york_midnight(one + 1);
    select m.opens, m.closes into opens_at, closes_at from market_sessions m where m.day = one;
    -- Of years that nobody has asked for, and of days to come, there may be no bar at all.
    continue when p_symbols is null and (one < earliest or one > market_today())
      and not exists (select from ohlc_bars_v2 b where b.ts >= midnight and b.ts < tomorrow)
      and not exists (select from bars_aside a where a.ts >= midnight and a.ts < tomorrow);
    moved := move_bars(one, whom, coalesce(opens_at, 'infinity'), coalesce(closes_at, '-infinity'))
      || move_coverage(one, whom, opens_at, closes_at);
    -- A run that knew the day's session.
    continue when p_symbols is not null and moved = '{}';
    update coverage_status c set from_ts = n.from_ts, to_ts = n.to_ts
      from (
        select y.ticker,
          (select m.opens from session_coverage s join market_sessions m using (day)
            where s.symbol_id = y.id and s.bars > 0 order by s.day limit 1) as from_ts,
          (select m.closes from session_coverage s join market_sessions m using (day)
            where s.symbol_id = y.id and s.bars > 0 order by s.day desc limit 1) as to_ts
          from symbols y where y.id = any(moved)) n
     where c.symbol = n.ticker and (c.from_ts, c.to_ts) is distinct from (n.from_ts, n.to_ts);
    -- In the order in which others lock them.
    perform from job_runs r
      where r.status in ('queued', 'running', 'failed') and one between r.first_day and r.last_day
        and r.symbol in (select ticker from symbols where id = any(whom))
      order by r.id for update;
    update job_runs r set sessions = (
        select count(*) from market_sessions m where m.day between r.first_day and r.last_day)
     where r.status in ('queued', 'running', 'failed') and one between r.first_day and r.last_day
       and r.symbol in (select ticker from symbols where id = any(whom));
    perform settle_slices(y.id, one, one, null)
      from symbols y
     where y.id = any(whom) and exists (
       select from job_runs r
        where r.symbol = y.ticker and r.status in ('queued', 'running', 'failed')
          and one between r.first_day and r.last_day);
    perform pg_notify('swiftbolt_news', json_build_object(
        'symbol', y.ticker, 'from', midnight, 'to', tomorrow)::text)
      from symbols y where y.id = any(moved);
  end loop;
end
$$;

revoke all on function
  move_bars(date,uuid[],timestamptz,timestamptz),
  move_coverage(date,uuid[],timestamptz,timestamptz), follow_calendar(date[],uuid[])
  from public, anon, authenticated, service_role;
