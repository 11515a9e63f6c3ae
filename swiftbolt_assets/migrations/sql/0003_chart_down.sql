-- The contract's function as revision 0002 has it.
create or replace function get_chart_data_v2(
  p_symbol_id uuid, p_timeframe varchar, p_start_date timestamptz, p_end_date timestamptz,
  p_adjusted boolean default true
) returns table (
  ts text, open double precision, high double precision, low double precision,
  close double precision, volume double precision, provider text, is_intraday boolean,
  is_forecast boolean, data_status text, confidence_score double precision,
  upper_band double precision, lower_band double precision
)
language plpgsql stable as $$
declare
  wanted timeframe := parse_timeframe(p_timeframe);
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
    select to_char(b.ts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
      b.open * f.factor, b.high * f.factor, b.low * f.factor, b.close * f.factor,
      b.volume / f.factor, b.provider::text,
      b.ts >= midnight and b.ts < tomorrow, b.is_forecast, b.data_status,
      b.confidence_score, b.upper_band, b.lower_band
      from (
        select distinct on (o.ts) o.*
          from ohlc_bars_v2 o
         where o.symbol_id = p_symbol_id and o.timeframe = wanted
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

drop function get_chart_bars(uuid, timeframe, timestamptz, timestamptz, boolean, integer);
