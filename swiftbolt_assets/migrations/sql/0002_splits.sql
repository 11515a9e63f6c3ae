-- Splits kept current, and a chart that may show prices as they were traded.

-- When splits were asked for: `*` stands for all symbols, once a New York date; each symbol has one
-- look-up of its own, after its first bars. `answered_on` is the market clock's date, the instants
-- are real time.
create table split_lookups (
  symbol text primary key,
  created_at timestamptz not null default clock_timestamp(),
  answered_on date,
  answered_at timestamptz,
  request_id text,
  failures integer not null default 0 check (failures >= 0),
  error text,
  retry_at timestamptz,
  check ((answered_on is null) = (answered_at is null)),
  check ((failures = 0) = (error is null))
);
insert into split_lookups (symbol) values ('*');
alter table split_lookups enable row level security;
revoke all on split_lookups from public, anon, authenticated, service_role;
grant select on split_lookups to service_role;

drop function get_chart_data_v2(uuid, varchar, timestamptz, timestamptz);

-- What a chart shows: one row a timestamp, from the layer that its New York date belongs to.
--
-- Before today Polygon's bars, and Tradier's until Polygon's are stored: no hole overnight. Today
-- Tradier's, after today the forecasts. The date decides, not the stored flag: `is_intraday` is true
-- for today's bars alone. Both ends are included; a null end is open.
--
-- Stored prices are raw. Those before a split are folded to today's shares, so that a chart has one
-- price basis; a split that is only announced folds nothing. `p_adjusted => false` leaves them raw.
create function get_chart_data_v2(
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

revoke all on function get_chart_data_v2(uuid, varchar, timestamptz, timestamptz, boolean)
  from public, anon, authenticated, service_role;
grant execute on function get_chart_data_v2(uuid, varchar, timestamptz, timestamptz, boolean)
  to anon, authenticated, service_role;
