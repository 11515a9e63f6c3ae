-- Folding as revision 0003 has it, with one split a day.
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

drop function fold_price(
  double precision, double precision, double precision, double precision, double precision);
drop function fold_digits(double precision, double precision);
drop function doubt_pause(integer);
alter table split_lookups drop column ask_again_at, drop column doubts;

-- One a day: the one that counts before others.
delete from splits s using splits other
 where other.symbol_id = s.symbol_id and other.execution_date = s.execution_date
   and (other.effective_date is null, other.adjustment_type, other.ratio)
     < (s.effective_date is null, s.adjustment_type, s.ratio);
alter table splits
  drop column effective_date,
  drop column adjustment_type,
  drop column historical_adjustment_factor,
  drop column state,
  drop column shown_on,
  drop column seen_ratio,
  drop column judged_at,
  drop column ratio;
alter table splits add primary key (symbol_id, execution_date);
