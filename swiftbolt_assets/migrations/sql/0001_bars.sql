-- The bars, and the rules that every writer is held to.

-- float8 knows NaN (greater than all numbers) and infinities; `< 'Infinity'` refuses them all.
create table ohlc_bars_v2 (
  symbol_id uuid not null,
  timeframe timeframe not null,
  ts timestamptz not null,
  provider data_provider not null,
  is_forecast boolean not null default false,
  is_intraday boolean not null default false,
  open double precision,
  high double precision,
  low double precision,
  close double precision not null,
  volume double precision,
  vwap double precision,
  trade_count bigint,
  data_status text check (data_status in ('verified', 'live', 'provisional')),
  confidence_score double precision check (confidence_score between 0 and 1),
  upper_band double precision,
  lower_band double precision,
  fetched_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (symbol_id, timeframe, ts, provider, is_forecast),
  constraint bar_prices check (
    close > 0 and close < 'Infinity'
    and (open is null or (open > 0 and open < 'Infinity'))
    and (high is null or (high >= close and high >= coalesce(open, high) and high < 'Infinity'))
    and (low is null or (low > 0 and low <= close and low <= coalesce(open, low)))
  ),
  constraint bar_volume check (volume is null or (volume >= 0 and volume < 'Infinity')),
  constraint bar_vwap check (vwap is null or (vwap >= 0 and vwap < 'Infinity')),
  constraint bar_trade_count check (trade_count is null or trade_count >= 0),
  constraint bar_complete check (
    is_forecast or (open is not null and high is not null and low is not null and volume is not null)
  ),
  constraint bar_aligned check (
    timeframe in ('d1', 'w1') or date_bin('15 minutes', ts, '2000-01-01 00:00+00') = ts
  ),
  constraint forecast_by_model check (
    is_forecast = (provider = 'ml_forecast')
  ),
  constraint forecast_bands check (
    not is_forecast or (
      not is_intraday and upper_band is not null and lower_band is not null
      and '-Infinity' < lower_band and lower_band <= upper_band and upper_band < 'Infinity'
    )
  ),
  constraint tradier_is_intraday check (provider <> 'tradier' or is_intraday)
) partition by range (ts);

create index ohlc_bars_v2_ts on ohlc_bars_v2 using brin (ts);

-- Months are added ahead of time by `swiftbolt migrate` and by each writer that meets a new one.
create function ensure_bar_partitions(p_from timestamptz, p_to timestamptz) returns integer
language plpgsql as $$
declare
  month date := date_trunc('month', p_from at time zone 'UTC')::date;
  last_month date := date_trunc('month', p_to at time zone 'UTC')::date;
  name text;
  added integer := 0;
begin
  while month <= last_month loop
    name := format('ohlc_bars_v2_%s', to_char(month, 'YYYY_MM'));
    if to_regclass(name) is null then
      perform pg_advisory_xact_lock(hashtextextended('ensure_bar_partitions', 0));
      if to_regclass(name) is null then
        execute format(
          'create table %I partition of ohlc_bars_v2 for values from (%L) to (%L)',
          name, month::timestamp at time zone 'UTC',
          (month + interval '1 month')::timestamp at time zone 'UTC');
        -- Reached through the parent only, also where default privileges (Supabase's) say otherwise.
        execute format('alter table %I enable row level security', name);
        execute format(
          'revoke all on %I from public, anon, authenticated, service_role', name);
        added := added + 1;
      end if;
    end if;
    month := (month + interval '1 month')::date;
  end loop;
  return added;
end
$$;

-- Holds symbols until commit and returns how many of them there are. As the owner: a foreign key
-- asks for no rights on its target, but `for key share` wants the right to update.
create function hold_symbols(p_ids uuid[]) returns bigint language sql volatile security definer as $$
  with held as (select id from symbols where id = any(p_ids) for key share)
  select count(*) from held
$$;
do $$
begin
  -- pg_temp last: a caller's temporary table must not pass for `symbols`.
  execute format('alter function hold_symbols(uuid[]) set search_path = %I, pg_temp', current_schema());
end
$$;
revoke all on function hold_symbols(uuid[]) from public;
grant execute on function hold_symbols(uuid[]) to service_role;

-- The write rules by date. One check a statement, and one pass over its rows: a check a row would
-- cost more than the row.
create function validate_ohlc_v2_write() returns trigger language plpgsql as $$
declare
  today date := market_today();
  midnight timestamptz := new_york_midnight(today);
  tomorrow timestamptz := new_york_midnight(today + 1);
  seen record;
begin
  with groups as materialized (
    select symbol_id, provider, min(ts) as earliest, max(ts) as latest
      from written group by symbol_id, provider
  ), refused as (
    select provider,
      case
        when provider = 'polygon' or (provider = 'tradier' and earliest >= midnight) then latest
        else earliest
      end as ts
      from groups
     where (provider = 'polygon' and latest >= midnight)
        or (provider = 'tradier' and not (earliest >= midnight and latest < tomorrow))
        or (provider = 'ml_forecast' and earliest < tomorrow)
     limit 1
  )
  select array(select distinct symbol_id from groups) as symbols,
    exists (select from groups where provider <> 'ml_forecast') as others,
    (select provider from refused) as bad_provider,
    (select ts from refused) as bad_ts
    into seen;
  if seen.bad_ts is not null then
    raise exception using
      errcode = 'check_violation',
      message = format(
        'bar date %s is refused for provider %s: polygon writes days before today, tradier today, ml_forecast days after today; today is %s',
        (seen.bad_ts at time zone 'America/New_York')::date, seen.bad_provider, today);
  end if;
  if current_user = 'service_role' and seen.others then
    raise exception using
      errcode = 'insufficient_privilege',
      message = 'service_role writes forecasts only (provider ml_forecast)';
  end if;
  -- The foreign key to symbols, once a statement.
  if hold_symbols(seen.symbols) <> cardinality(seen.symbols) then
    raise exception using
      errcode = 'foreign_key_violation',
      message = 'a bar names a symbol_id that is not in table symbols';
  end if;
  return null;
end
$$;

create trigger validate_ohlc_v2_insert after insert on ohlc_bars_v2
  referencing new table as written for each statement execute function validate_ohlc_v2_write();
create trigger validate_ohlc_v2_update after update on ohlc_bars_v2
  referencing new table as written for each statement execute function validate_ohlc_v2_write();
create trigger ohlc_bars_v2_touch before update on ohlc_bars_v2
  for each row execute function touch_updated_at();

create function delete_bars_of_symbol() returns trigger language plpgsql as $$
begin
  delete from ohlc_bars_v2 where symbol_id = old.id;
  return old;
end
$$;
create trigger symbols_delete_bars after delete on symbols
  for each row execute function delete_bars_of_symbol();

alter table ohlc_bars_v2 enable row level security;
create policy bars_read on ohlc_bars_v2 for select using (true);
create policy bars_forecast_insert on ohlc_bars_v2 for insert to service_role with check (is_forecast);
create policy bars_forecast_update on ohlc_bars_v2 for update to service_role
  using (is_forecast) with check (is_forecast);
revoke all on ohlc_bars_v2 from public, anon, authenticated, service_role;
grant select on ohlc_bars_v2 to anon, authenticated, service_role;
grant insert, update on ohlc_bars_v2 to service_role;
