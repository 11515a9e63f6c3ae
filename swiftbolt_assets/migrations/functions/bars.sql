-- What every writer of bars is held to, their months, and how a running day becomes history.

-- Months are added ahead of time by `swiftbolt migrate` and by each writer that meets a new one.
create or replace function ensure_bar_partitions(p_from timestamptz, p_to timestamptz) returns integer
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

-- The write rules by date; what was kept aside may come back whatever its date.
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
  -- Looked up only then: every write comes by here.
  if seen.bad_ts is not null and exists (
    select from written w
     where ((provider = 'polygon' and ts >= midnight)
        or (provider = 'tradier' and not (ts >= midnight and ts < tomorrow))
        or (provider = 'ml_forecast' and ts < tomorrow))
       and not exists (
         select from bars_aside a
          where a.symbol_id = w.symbol_id and a.timeframe = w.timeframe and a.ts = w.ts
            and a.provider = w.provider and a.is_forecast = w.is_forecast)
  ) then
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

create or replace trigger validate_ohlc_v2_insert after insert on ohlc_bars_v2
  referencing new table as written for each statement execute function validate_ohlc_v2_write();

create or replace trigger validate_ohlc_v2_update after update on ohlc_bars_v2
  referencing new table as written for each statement execute function validate_ohlc_v2_write();

create or replace function delete_bars_of_symbol() returns trigger language plpgsql as $$
begin
  delete from ohlc_bars_v2 where symbol_id = old.id;
  return old;
end
$$;

create or replace trigger symbols_delete_bars after delete on symbols
  for each row execute function delete_bars_of_symbol();

-- Whether two bars are the same, but for the order in which volumes were added up.
create or replace function is_same_bar(
  a_open double precision, a_high double precision, a_low double precision,
  a_close double precision, a_volume double precision, b_open double precision,
  b_high double precision, b_low double precision, b_close double precision,
  b_volume double precision
) returns boolean language sql immutable parallel safe as $$
  select (a_open, a_high, a_low, a_close) is not distinct from (b_open, b_high, b_low, b_close)
    and abs(coalesce(a_volume, -1) - coalesce(b_volume, -1)) <= 1e-9 * abs(coalesce(b_volume, 0))
$$;

-- Compares Tradier's rows of settled sessions with Polygon's, keeps what differs, and deletes them. In
-- the transaction that stored Polygon's, so that there is no moment without bars.
create or replace function replace_live_bars(
  p_symbol uuid, p_days date[], p_opens timestamptz, p_closes timestamptz, p_kept timestamptz[])
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
         and b.ts <> all(p_kept)
    ), pairs as (
      select coalesce(l.day, h.day) as day, l.ts is not null as is_live, h.ts is not null as is_history,
        greatest(abs(l.open - h.open), abs(l.high - h.high), abs(l.low - h.low),
          abs(l.close - h.close)) as price_difference,
        abs(l.volume - h.volume) as volume_difference
        from (select * from sides where provider = 'tradier') l
        full join (select * from sides where provider = 'polygon') h on h.ts = l.ts
       -- The second time, of what had been kept alone.
       where l.ts is not null or not exists (
         select from finalizations f where f.symbol_id = p_symbol and f.day = h.day)
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
      live_bars = f.live_bars + excluded.live_bars,
      history_bars = f.history_bars + excluded.history_bars,
      differing = f.differing + excluded.differing,
      max_price_difference = greatest(f.max_price_difference, excluded.max_price_difference),
      max_volume_difference = greatest(f.max_volume_difference, excluded.max_volume_difference),
      finalized_at = clock_timestamp()
    returning f.day, f.live_bars, f.history_bars, f.differing, f.max_price_difference,
      f.max_volume_difference;
  delete from ohlc_bars_v2 b using market_sessions s
   where s.day = any(p_days) and b.ts >= p_opens and b.ts < p_closes
     and b.ts >= s.opens and b.ts < s.closes and b.symbol_id = p_symbol and b.provider = 'tradier'
     and not exists (
       select from unnest(p_kept) k (ts)
        where b.ts <= k.ts and k.ts < b.ts + timeframe_width(b.timeframe));
end
$$;

revoke all on function
  is_same_bar(double precision,double precision,double precision,double precision,double precision,double precision,double precision,double precision,double precision,double precision),
  replace_live_bars(uuid,date[],timestamptz,timestamptz,timestamptz[])
  from public, anon, authenticated, service_role;
