-- A day becomes history: what the live provider had said of it, and what replaced that.

create table finalizations (
  symbol_id uuid not null references symbols on delete cascade,
  day date not null,
  live_bars integer not null,
  history_bars integer not null,
  -- 15-minute bars whose prices or volume differ, or that one side lacks.
  differing integer not null,
  max_price_difference double precision not null,
  max_volume_difference double precision not null,
  finalized_at timestamptz not null default clock_timestamp(),
  primary key (symbol_id, day)
);
create index finalizations_day on finalizations (day);
alter table finalizations enable row level security;
revoke all on finalizations from public, anon, authenticated, service_role;
grant select on finalizations to service_role;

-- Compares Tradier's rows of settled sessions with Polygon's, keeps what differs, and deletes them. In
-- the transaction that stored Polygon's, so that there is no moment without bars.
create function replace_live_bars(
  p_symbol uuid, p_days date[], p_opens timestamptz, p_closes timestamptz)
returns table (day date, live_bars integer, history_bars integer, differing integer,
  max_price_difference double precision, max_volume_difference double precision)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
    with sides as (
      select s.day, b.ts, b.provider, b.open, b.high, b.low, b.close, b.volume
        from market_sessions s
        join ohlc_bars_v2 b on b.symbol_id = p_symbol and b.timeframe = 'm15' and not b.is_forecast
         and b.ts >= p_opens and b.ts < p_closes and b.ts >= s.opens and b.ts < s.closes
       where s.day = any(p_days) and b.provider in ('polygon', 'tradier')
    ), pairs as (
      select coalesce(l.day, h.day) as day, l.ts is not null as is_live, h.ts is not null as is_history,
        greatest(abs(l.open - h.open), abs(l.high - h.high), abs(l.low - h.low),
          abs(l.close - h.close)) as price_difference,
        abs(l.volume - h.volume) as volume_difference
        from (select * from sides where provider = 'tradier') l
        full join (select * from sides where provider = 'polygon') h on h.ts = l.ts
    ), compared as (
      select day, (count(*) filter (where is_live))::integer as live_bars,
        (count(*) filter (where is_history))::integer as history_bars,
        (count(*) filter (where not (is_live and is_history)
          or price_difference > 0 or volume_difference > 0))::integer as differing,
        coalesce(max(price_difference), 0) as max_price_difference,
        coalesce(max(volume_difference), 0) as max_volume_difference
        from pairs group by day having bool_or(is_live)
    )
    insert into finalizations as f (symbol_id, day, live_bars, history_bars, differing,
      max_price_difference, max_volume_difference)
    select p_symbol, day, live_bars, history_bars, differing, max_price_difference,
      max_volume_difference from compared
    on conflict (symbol_id, day) do update set
      live_bars = excluded.live_bars, history_bars = excluded.history_bars,
      differing = excluded.differing, max_price_difference = excluded.max_price_difference,
      max_volume_difference = excluded.max_volume_difference, finalized_at = clock_timestamp()
    returning f.day, f.live_bars, f.history_bars, f.differing, f.max_price_difference,
      f.max_volume_difference;
  delete from ohlc_bars_v2 b using market_sessions s
   where s.day = any(p_days) and b.ts >= p_opens and b.ts < p_closes
     and b.ts >= s.opens and b.ts < s.closes and b.symbol_id = p_symbol and b.provider = 'tradier';
end
$$;
revoke all on function replace_live_bars(uuid, date[], timestamptz, timestamptz)
  from public, anon, authenticated, service_role;

-- A settled session that is to be asked for once more: its provider may have been late.
alter table session_coverage add column ask_again_at timestamptz;
create index session_coverage_again on session_coverage (ask_again_at) where ask_again_at is not null;

-- Opens them when their time has come, so that the next plan asks; returns how many.
create function reopen_late_sessions() returns integer language plpgsql as $$
declare
  reopened uuid[];
begin
  with due as (
    update session_coverage set state = 'open', settled_at = null, ask_again_at = null
     where ask_again_at <= clock_timestamp() and state = 'final'
    returning symbol_id
  )
  select array_agg(symbol_id) into reopened from due;
  if reopened is not null then
    update symbol_plans p set stale = true
      from symbols s where s.ticker = p.symbol and s.id = any(reopened);
  end if;
  return coalesce(cardinality(reopened), 0);
end
$$;
revoke all on function reopen_late_sessions() from public, anon, authenticated, service_role;
