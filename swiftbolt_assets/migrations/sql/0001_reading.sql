-- What is stored, what is missing and what is at work, for whoever asks in SQL.
--
-- Whoever reads sees what row-level security shows them: only `get_coverage_gaps` runs as the owner,
-- for nobody else reads the ledger.

-- The timeframe that a caller wrote, aliases included (market/timeframes.py holds the same ones).
create function parse_timeframe(p_timeframe text) returns timeframe
language plpgsql immutable parallel safe as $$
declare
  token text := lower(btrim(p_timeframe));
begin
  token := case token
    when '15m' then 'm15' when '15min' then 'm15'
    when '1h' then 'h1' when '60m' then 'h1'
    when '4h' then 'h4' when '240m' then 'h4'
    else token
  end;
  if token = any(enum_range(null::timeframe)::text[]) then
    return token::timeframe;
  end if;
  raise exception using
    errcode = 'invalid_parameter_value',
    message = format(
      'timeframe: %L is unknown; use one of %s',
      left(p_timeframe, 20), array_to_string(enum_range(null::timeframe), ', '));
end
$$;

-- The first and the last stored bar; nulls when there is none.
create function get_coverage(p_symbol text, p_timeframe text)
returns table (from_ts timestamptz, to_ts timestamptz)
language plpgsql stable as $$
declare
  wanted timeframe := parse_timeframe(p_timeframe);
begin
  return query
    select min(b.ts), max(b.ts)
      from ohlc_bars_v2 b
     where b.symbol_id = (select s.id from symbols s where s.ticker = upper(btrim(p_symbol)))
       and b.timeframe = wanted and not b.is_forecast;
end
$$;

-- One row a stretch of sessions that are not settled, oldest first; closed time within a stretch
-- counts for nothing, today's session is no gap, nor is what lies before the installation's first
-- date. The ledger speaks for every timeframe at once: all are made of the session's 15-minute bars.
create function get_coverage_gaps(p_symbol text, p_timeframe text, p_window_days integer default 7)
returns table (gap_from timestamptz, gap_to timestamptz, gap_hours double precision)
language plpgsql stable security definer as $$
declare
  today date := market_today();
  -- A hundred years at most: a date has an end.
  first_day date := greatest(
    today - least(greatest(coalesce(p_window_days, 7), 0), 36500),
    (select i.value::date from installation i where i.name = 'first_date'));
  symbol uuid := (select s.id from symbols s where s.ticker = upper(btrim(p_symbol)));
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
do $$
begin
  -- pg_temp last: a caller's temporary table must not pass for the ledger.
  execute format(
    'alter function get_coverage_gaps(text, text, integer) set search_path = %I, pg_temp',
    current_schema());
end
$$;

-- Whether exactly this slice is waiting, at work or done; one that failed may be asked for again.
create function job_slice_exists(
  p_symbol text, p_timeframe text, p_slice_from timestamptz, p_slice_to timestamptz
) returns boolean
language plpgsql stable as $$
declare
  wanted timeframe := parse_timeframe(p_timeframe);
begin
  return exists (
    select from job_runs r
     where r.symbol = upper(btrim(p_symbol)) and r.timeframe = wanted
       and r.slice_from = p_slice_from and r.slice_to = p_slice_to
       and r.status in ('queued', 'running', 'success'));
end
$$;

-- Always three rows: h1, h4, m15.
create function get_symbol_timeframe_coverage(p_symbol text)
returns table (
  timeframe text, bars_count bigint, earliest_bar timestamptz, latest_bar timestamptz,
  coverage_days double precision, last_fetch timestamptz, job_enabled boolean, job_priority integer
)
language sql stable as $$
  with asked as (
    select upper(btrim(p_symbol)) as ticker,
      (select id from symbols where ticker = upper(btrim(p_symbol))) as symbol_id
  )
  select t.timeframe::text, b.bars, b.earliest, b.latest,
    coalesce(extract(epoch from b.latest - b.earliest) / 86400, 0)::double precision,
    c.last_success_at, coalesce(d.enabled, false), coalesce(d.priority, 0)
    from asked a
    cross join unnest(array['h1', 'h4', 'm15']::timeframe[]) with ordinality t (timeframe, place)
    -- A timestamp may have a bar of each provider.
    cross join lateral (
      select count(distinct o.ts) as bars, min(o.ts) as earliest, max(o.ts) as latest
        from ohlc_bars_v2 o
       where o.symbol_id = a.symbol_id and o.timeframe = t.timeframe and not o.is_forecast
    ) b
    left join coverage_status c on c.symbol = a.ticker and c.timeframe = t.timeframe
    left join job_definitions d
      on d.symbol = a.ticker and d.timeframe = t.timeframe and d.job_type = 'fetch_intraday'
   order by t.place
$$;

-- The runs that were made within some hours; no row for a timeframe without any.
create function get_timeframe_job_stats(p_hours integer default 1)
returns table (
  timeframe text, total_jobs bigint, queued bigint, running bigint, success bigint, failed bigint,
  total_bars_written bigint, avg_duration_seconds double precision
)
language sql stable as $$
  select r.timeframe::text, count(*),
    count(*) filter (where r.status = 'queued'),
    count(*) filter (where r.status = 'running'),
    count(*) filter (where r.status = 'success'),
    count(*) filter (where r.status = 'failed'),
    coalesce(sum(r.rows_written) filter (where r.status = 'success'), 0)::bigint,
    avg(extract(epoch from r.finished_at - r.started_at))
      filter (where r.status = 'success')::double precision
    from job_runs r
   where r.created_at >= now() - make_interval(hours => least(greatest(p_hours, 0), 876000))
   group by r.timeframe
   order by 1
$$;

-- One row a tracked symbol and source. Bars count within the widest window of the enabled
-- definitions, for older ones are kept but were not asked for; runs count for the symbol in all
-- timeframes.
create function get_user_tracked_symbols_status(p_user_id uuid)
returns table (
  symbol text, source text, priority integer, tracked_at timestamptz,
  m15_bars bigint, h1_bars bigint, h4_bars bigint, jobs_pending bigint, jobs_running bigint
)
language sql stable as $$
  with tracked as materialized (
    select u.symbol_id, s.ticker, u.source, u.priority, u.created_at
      from user_symbol_tracking u join symbols s on s.id = u.symbol_id
     where u.user_id = p_user_id
  ), known as materialized (
    select distinct t.symbol_id, t.ticker, market_today() as today from tracked t
  ), windows as materialized (
    select k.symbol_id, d.timeframe, k.today, max(d.window_days) as window_days
      from known k join job_definitions d on d.symbol = k.ticker and d.enabled
     where d.timeframe in ('m15', 'h1', 'h4') and d.job_type <> 'run_forecast'
     group by k.symbol_id, d.timeframe, k.today
  ), bars as (
    select w.symbol_id, w.timeframe, b.bars
      from windows w
      cross join lateral (
        select count(distinct o.ts) as bars
          from ohlc_bars_v2 o
         where o.symbol_id = w.symbol_id and o.timeframe = w.timeframe and not o.is_forecast
           and o.ts >= new_york_midnight(w.today - w.window_days)
           and o.ts < new_york_midnight(w.today + 1)
      ) b
  ), counted as (
    select b.symbol_id,
      sum(b.bars) filter (where b.timeframe = 'm15') as m15,
      sum(b.bars) filter (where b.timeframe = 'h1') as h1,
      sum(b.bars) filter (where b.timeframe = 'h4') as h4
      from bars b
     group by b.symbol_id
  ), jobs as (
    select k.symbol_id,
      count(*) filter (where r.status = 'queued') as pending,
      count(*) filter (where r.status = 'running') as running
      from known k join job_runs r on r.symbol = k.ticker and r.status in ('queued', 'running')
     group by k.symbol_id
  )
  select t.ticker, t.source, t.priority, t.created_at,
    coalesce(c.m15, 0)::bigint, coalesce(c.h1, 0)::bigint, coalesce(c.h4, 0)::bigint,
    coalesce(j.pending, 0), coalesce(j.running, 0)
    from tracked t
    left join counted c using (symbol_id)
    left join jobs j using (symbol_id)
   order by t.priority desc, t.created_at desc, t.ticker, t.source
$$;

revoke all on function parse_timeframe(text), get_coverage(text, text),
  get_coverage_gaps(text, text, integer),
  job_slice_exists(text, text, timestamptz, timestamptz), get_symbol_timeframe_coverage(text),
  get_timeframe_job_stats(integer), get_user_tracked_symbols_status(uuid)
  from public, anon, authenticated, service_role;
grant execute on function parse_timeframe(text), get_coverage(text, text),
  get_coverage_gaps(text, text, integer),
  job_slice_exists(text, text, timestamptz, timestamptz), get_symbol_timeframe_coverage(text),
  get_timeframe_job_stats(integer)
  to anon, authenticated, service_role;
grant execute on function get_user_tracked_symbols_status(uuid) to authenticated, service_role;
