-- A chart's bars as values: what days and weeks are made of, without their text in between, and a
-- page of a range that is too long.

-- What a chart shows: one row a timestamp, ascending, from the layer that its New York date belongs to.
--
-- Before today Polygon's bars, and Tradier's until Polygon's are stored: no hole overnight. Today
-- Tradier's, after today the forecasts. The date decides, not the stored flag: `is_intraday` is true
-- for today's bars alone. Both ends are included; a null end is open. Of more than `p_most` rows the
-- newest ones; null for all.
--
-- Stored prices are raw. Those before a split are folded to today's shares, so that a chart has one
-- price basis; a split that is only announced folds nothing. `p_adjusted => false` leaves them raw.
create function get_chart_bars(
  p_symbol_id uuid, p_timeframe timeframe, p_start_date timestamptz, p_end_date timestamptz,
  p_adjusted boolean default true, p_most integer default null
) returns table (
  ts timestamptz, open double precision, high double precision, low double precision,
  close double precision, volume double precision, provider data_provider, is_intraday boolean,
  is_forecast boolean, data_status text, confidence_score double precision,
  upper_band double precision, lower_band double precision
)
language plpgsql stable as $$
declare
  today date := market_today();
  midnight timestamptz := new_york_midnight(today);
  tomorrow timestamptz := new_york_midnight(today + 1);
  first_ts timestamptz := coalesce(p_start_date, '-infinity');
  last_ts timestamptz := coalesce(p_end_date, 'infinity');
  -- factors[i] holds before edges[i]; after the last one it is 1.
  edges timestamptz[] := '{}';
  factors double precision[] := '{1}';
  split record;
begin
  -- A day has 96 quarter hours: shorter ranges hold no more rows than that.
  if p_most is not null
    and (first_ts = '-infinity' or last_ts = 'infinity'
      or last_ts - first_ts > p_most / 96 * interval '1 day') then
    first_ts := coalesce((
      select o.ts
        from ohlc_bars_v2 o
       where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe
         and o.ts >= first_ts and o.ts <= last_ts
         and case
           when o.ts < midnight then o.provider in ('polygon', 'tradier')
           when o.ts < tomorrow then o.provider = 'tradier'
           else o.is_forecast
         end
       group by o.ts
       order by o.ts desc
      offset greatest(p_most, 1) - 1 limit 1), first_ts);
  end if;
  for split in
    select new_york_midnight(s.execution_date) as executed, s.split_from / s.split_to as factor
      from splits s
     where p_adjusted is not false and s.symbol_id = p_symbol_id and s.execution_date <= today
     order by s.execution_date desc
  loop
    edges := split.executed || edges;
    factors := (factors[1] * split.factor) || factors;
  end loop;
  return query
    select b.ts, b.open * f.factor, b.high * f.factor, b.low * f.factor, b.close * f.factor,
      b.volume / f.factor, b.provider, b.ts >= midnight and b.ts < tomorrow, b.is_forecast,
      b.data_status, b.confidence_score, b.upper_band, b.lower_band
      from (
        select distinct on (o.ts) o.*
          from ohlc_bars_v2 o
         where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe
           and o.ts >= first_ts and o.ts <= last_ts
           and case
             when o.ts < midnight then o.provider in ('polygon', 'tradier')
             when o.ts < tomorrow then o.provider = 'tradier'
             else o.is_forecast
           end
         -- By the enum's order: Polygon before Tradier.
         order by o.ts, o.provider
      ) b
      cross join lateral (select factors[width_bucket(b.ts, edges) + 1] as factor) f
     order by b.ts;
end
$$;

-- The contract's function: the same rows, in their order, with `ts` as text.
create or replace function get_chart_data_v2(
  p_symbol_id uuid, p_timeframe varchar, p_start_date timestamptz, p_end_date timestamptz,
  p_adjusted boolean default true
) returns table (
  ts text, open double precision, high double precision, low double precision,
  close double precision, volume double precision, provider text, is_intraday boolean,
  is_forecast boolean, data_status text, confidence_score double precision,
  upper_band double precision, lower_band double precision
)
language sql stable as $$
  select to_char(b.ts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), b.open, b.high, b.low,
    b.close, b.volume, b.provider::text, b.is_intraday, b.is_forecast, b.data_status,
    b.confidence_score, b.upper_band, b.lower_band
    from get_chart_bars(
      p_symbol_id, parse_timeframe(p_timeframe), p_start_date, p_end_date, p_adjusted) b
$$;

revoke all on function
  get_chart_bars(uuid, timeframe, timestamptz, timestamptz, boolean, integer)
  from public, anon, authenticated, service_role;
grant execute on function
  get_chart_bars(uuid, timeframe, timestamptz, timestamptz, boolean, integer)
  to anon, authenticated, service_role;
