-- What was kept aside comes back; the next `migrate` of the older code writes its sessions.
insert into ohlc_bars_v2 select * from bars_aside on conflict do nothing;
insert into session_coverage
select distinct on (symbol_id, day) * from sessions_aside order by symbol_id, day, expected desc
on conflict do nothing;

create or replace function validate_ohlc_v2_write() returns trigger language plpgsql as $$
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

drop function follow_calendar(date[], uuid[]);
drop function move_coverage(date, uuid[], timestamptz, timestamptz);
drop function move_bars(date, uuid[], timestamptz, timestamptz);
drop function is_same_bar(double precision, double precision, double precision, double precision,
  double precision, double precision, double precision, double precision, double precision,
  double precision);
drop table sessions_aside, bars_aside, calendar_changes;
