-- What a chart is made of: bars folded by splits, their number.

-- The bars of a chart, folded by the splits that count, and rounded.
create or replace function get_chart_bars(
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
  -- What holds before edges[i] is at i; after the last one nothing is folded.
  edges timestamptz[] := '{}';
  scales double precision[] := '{null}';
  factors double precision[] := '{null}';
  fine_scales double precision[] := '{null}';
  fine_factors double precision[] := '{null}';
  volume_scales double precision[] := '{null}';
  volume_factors double precision[] := '{null}';
  split record;
  up double precision := 1;
  down double precision := 1;
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
    select new_york_midnight(s.effective_date) as executed, s.split_from, s.split_to
      from splits s
     where p_adjusted is not false and s.symbol_id = p_symbol_id and s.effective_date <= today
     order by s.effective_date desc, s.split_from desc, s.split_to desc
  loop
    up := up * split.split_from;
    down := down * split.split_to;
    edges := split.executed || edges;
    scales := power(10::float8, 4 + fold_digits(up, down)) || scales;
    factors := case when up <> down then up * scales[1] / down end || factors;
    fine_scales := power(10::float8, 8 + fold_digits(up, down)) || fine_scales;
    fine_factors := up * fine_scales[1] / down || fine_factors;
    volume_scales := power(10::float8, 6 + fold_digits(down, up)) || volume_scales;
    volume_factors := down * volume_scales[1] / up || volume_factors;
  end loop;
  return query
    select b.ts,
      fold_price(b.open, f.factor, f.scale, f.fine_factor, f.fine_scale),
      fold_price(b.high, f.factor, f.scale, f.fine_factor, f.fine_scale),
      fold_price(b.low, f.factor, f.scale, f.fine_factor, f.fine_scale),
      fold_price(b.close, f.factor, f.scale, f.fine_factor, f.fine_scale),
      case
        when f.factor is null then b.volume
        else round(b.volume * f.volume_factor) / f.volume_scale
      end,
      b.provider, b.ts >= midnight and b.ts < tomorrow, b.is_forecast,
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
      -- `offset 0`: worked out once a row, not once a price.
      cross join lateral (select width_bucket(b.ts, edges) + 1 as at offset 0) w
      cross join lateral (
        select factors[w.at] as factor, scales[w.at] as scale, fine_factors[w.at] as fine_factor,
          fine_scales[w.at] as fine_scale, volume_factors[w.at] as volume_factor,
          volume_scales[w.at] as volume_scale
        offset 0
      ) f
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

-- Bars are counted where they are stored, not in the slices that brought them: a slice counts for
-- one definition only, is pruned after a while, and knows nothing of today.

-- How many bars a chart shows of a timeframe since a New York date, today's included, forecasts not.
-- Which bars a chart shows is said at `get_chart_bars`; this counts the same ones without reading
-- their prices. Days and weeks are made of 15-minute bars: there is one where a session has any, and
-- the first week is whole.
create or replace function count_chart_bars(p_symbol_id uuid, p_timeframe timeframe, p_first_day date)
returns integer language plpgsql stable as $$
declare
  today date := market_today();
  midnight timestamptz := new_york_midnight(today);
  tomorrow timestamptz := new_york_midnight(today + 1);
  first_day date := case
    when p_timeframe = 'w1' then date_trunc('week', p_first_day::timestamp)::date else p_first_day end;
  first_ts timestamptz := new_york_midnight(first_day);
begin
  if p_timeframe in ('d1', 'w1') then
    return (
      select count(distinct case p_timeframe
          when 'w1' then date_trunc('week', b.day::timestamp)::date else b.day end)
        from (
          select distinct (o.ts at time zone 'America/New_York')::date as day
            from ohlc_bars_v2 o
           where o.symbol_id = p_symbol_id and o.timeframe = 'm15' and not o.is_forecast
             and o.ts >= first_ts and o.ts < tomorrow
             and (o.provider = 'tradier' or (o.provider = 'polygon' and o.ts < midnight))) b);
  end if;
  return (
    select count(distinct o.ts)
      from ohlc_bars_v2 o
     where o.symbol_id = p_symbol_id and o.timeframe = p_timeframe and not o.is_forecast
       and o.ts >= first_ts and o.ts < tomorrow
       and (o.provider = 'tradier' or (o.provider = 'polygon' and o.ts < midnight)));
end
$$;

revoke all on function
  get_chart_bars(uuid,timeframe,timestamptz,timestamptz,boolean,integer),
  get_chart_data_v2(uuid,character varying,timestamptz,timestamptz,boolean),
  count_chart_bars(uuid,timeframe,date)
  from public, anon, authenticated, service_role;
grant execute on function
  get_chart_bars(uuid,timeframe,timestamptz,timestamptz,boolean,integer),
  get_chart_data_v2(uuid,character varying,timestamptz,timestamptz,boolean),
  count_chart_bars(uuid,timeframe,date)
  to anon, authenticated, service_role;
