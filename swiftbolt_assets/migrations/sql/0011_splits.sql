-- Listed splits, and what the prices say of each; folded prices without a binary tail.

-- A listed event is its day, kind and ratio: the provider's ids and factors change between pulls.
-- It may be listed a second time, on a wrong day, or without ever having happened, so what counts is
-- what the prices show (market/listed_splits.py judges, whoever changes bars or splits stores it).
-- `shown_on` is the day on which they show it, where that is known; `seen_ratio` the close before
-- divided by the open after, of that night or of the one where it was to be seen.
alter table splits drop constraint splits_pkey;
alter table splits
  add column adjustment_type text not null default 'split'
    check (adjustment_type in ('split', 'forward_split', 'reverse_split', 'stock_dividend')),
  add column ratio double precision not null generated always as (split_to / split_from) stored,
  add column historical_adjustment_factor double precision,
  add column state text not null default 'listed'
    check (state in ('listed', 'shown', 'moved', 'repeated', 'doubtful')),
  add column shown_on date,
  add column seen_ratio double precision,
  add column judged_at timestamptz,
  add column effective_date date generated always as (
    case when state not in ('repeated', 'doubtful') then coalesce(shown_on, execution_date) end
  ) stored,
  add check ((shown_on is not null) = (state in ('shown', 'moved')));
update splits set
  adjustment_type = case when split_to > split_from then 'forward_split' else 'reverse_split' end;
alter table splits add primary key (symbol_id, execution_date, adjustment_type, ratio);

-- A symbol whose prices and splits do not fit is asked about again by itself, with growing pauses
-- on the market's clock; null when they fit.
alter table split_lookups
  add column ask_again_at timestamptz,
  add column doubts integer not null default 0 check (doubts >= 0);

create function doubt_pause(p_doubts integer) returns interval language sql immutable as $$
  select (array['6 hours', '1 day', '3 days', '7 days', '14 days', '30 days']::interval[])
    [least(p_doubts, 5) + 1]
$$;
revoke all on function doubt_pause(integer) from public, anon, authenticated, service_role;

-- How many decimals a factor p_up / p_down adds to a number that it is multiplied with
-- (market/splits.py says why).
create function fold_digits(p_up double precision, p_down double precision)
returns integer language plpgsql immutable as $$
declare
  digits integer := 0;
begin
  for digits in 0..6 loop
    if p_up * power(10::float8, digits) / p_down = round(p_up * power(10::float8, digits) / p_down) then
      return digits;
    end if;
  end loop;
  while p_up * power(10::float8, digits) < p_down loop
    digits := digits + 1;
  end loop;
  return digits;
end
$$;

-- A raw price in later shares. One of four decimals at most is multiplied by p_by, rounded, and divided
-- by p_scale, another one likewise by the fine two; p_by is null where no split lies between.
create function fold_price(
  p_raw double precision, p_by double precision, p_scale double precision,
  p_fine_by double precision, p_fine_scale double precision
) returns double precision language sql immutable as $$
  select case
    when p_by is null then p_raw
    when round(p_raw * 1e4::float8) / 1e4::float8 = p_raw then round(p_raw * p_by) / p_scale
    else round(p_raw * p_fine_by) / p_fine_scale
  end
$$;
revoke all on function fold_digits(double precision, double precision),
  fold_price(double precision, double precision, double precision, double precision, double precision)
  from public, anon, authenticated, service_role;
grant execute on function fold_digits(double precision, double precision),
  fold_price(double precision, double precision, double precision, double precision, double precision)
  to anon, authenticated, service_role;

-- As before (0003_chart.sql), but folded by the splits that count, and rounded.
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
