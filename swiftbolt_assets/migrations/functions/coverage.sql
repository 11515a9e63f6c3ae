-- What is stored and what is missing, for whoever asks in SQL.
--
-- Whoever reads sees what row-level security shows them: only `get_coverage_gaps` runs as the owner,
-- for nobody else reads the ledger.

-- The first and the last stored bar; nulls when there is none.
create or replace function get_coverage(p_symbol text, p_timeframe text)
returns table (from_ts timestamptz, to_ts timestamptz)
language plpgsql stable as $$
declare
  wanted timeframe := parse_timeframe(p_timeframe);
begin
  return query
    select min(b.ts), max(b.ts)
      from ohlc_bars_v2 b
     where b.symbol_id = (select s.id from symbols s where s.ticker = canonical_symbol(p_symbol))
       and b.timeframe = wanted and not b.is_forecast;
end
$$;

-- One row a stretch of sessions that are not settled, oldest first; closed time within a stretch
-- counts for nothing, today's session is no gap, nor is what lies before the installation's first
-- date. The ledger speaks for every timeframe at once: all are made of the session's 15-minute bars.
create or replace function get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days integer default 7)
returns table (gap_from timestamptz, gap_to timestamptz, gap_hours double precision)
language plpgsql stable security definer
set search_path = public, pg_temp as $$
declare
  today date := market_today();
  -- A hundred years at most: a date has an end.
  first_day date := greatest(
    today - least(greatest(coalesce(p_window_days, 7), 0), 36500),
    (select i.value::date from installation i where i.name = 'first_date'));
  symbol uuid := (select s.id from symbols s where s.ticker = canonical_symbol(p_symbol));
begin
  perform parse_timeframe(p_timeframe);
  if symbol is null then
    return;
  end if;
  return query
    with numbered as (
      select m.day, m.opens, m.closes, row_number() over (order by m.day) as number
        from market_sessions m
       where m.day >= first_day and m.day < today
    ), missing as (
      select n.opens, n.closes, n.number - row_number() over (order by n.day) as stretch
        from numbered n
       where not exists (
         select from session_coverage c
          where c.symbol_id = symbol and c.day = n.day and c.state = 'final')
    )
    select min(m.opens), max(m.closes),
      sum(extract(epoch from m.closes - m.opens)::double precision / 3600)
      from missing m
     group by m.stretch
     order by 1;
end
$$;

-- A row for each stored timeframe, by its name: h1, h4, m15.
create or replace function get_symbol_timeframe_coverage(p_symbol text)
returns table (
  timeframe text, bars_count bigint, earliest_bar timestamptz, latest_bar timestamptz,
  coverage_days double precision, last_fetch timestamptz, job_enabled boolean, job_priority integer
)
language sql stable as $$
  with asked as (
    select canonical_symbol(p_symbol) as ticker,
      (select id from symbols where ticker = canonical_symbol(p_symbol)) as symbol_id
  )
  select t.timeframe::text, b.bars, b.earliest, b.latest,
    coalesce(extract(epoch from b.latest - b.earliest) / 86400, 0)::double precision,
    c.last_success_at, coalesce(d.enabled, false), coalesce(d.priority, 0)
    from asked a
    cross join unnest(stored_timeframes()) t (timeframe)
    -- A timestamp may have a bar of each provider.
    cross join lateral (
      select count(distinct o.ts) as bars, min(o.ts) as earliest, max(o.ts) as latest
        from ohlc_bars_v2 o
       where o.symbol_id = a.symbol_id and o.timeframe = t.timeframe and not o.is_forecast
    ) b
    left join coverage_status c on c.symbol = a.ticker and c.timeframe = t.timeframe
    left join job_definitions d
      on d.symbol = a.ticker and d.timeframe = t.timeframe and d.job_type = 'fetch_intraday'
   order by t.timeframe::text
$$;

revoke all on function
  get_coverage(text,text), get_coverage_gaps(text,text,integer),
  get_symbol_timeframe_coverage(text)
  from public, anon, authenticated, service_role;
grant execute on function
  get_coverage(text,text), get_coverage_gaps(text,text,integer),
  get_symbol_timeframe_coverage(text)
  to anon, authenticated, service_role;
