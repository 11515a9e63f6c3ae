-- Ten reports on coverage, work and health, for psql:
--   psql "$SWIFTBOLT_DATABASE_URL" -f monitor_multi_timeframe.sql
-- `swiftbolt monitor` runs the same statements. Reading only; timeframes in the order h1, h4, m15.
-- Bars are counted once a timestamp, whichever providers delivered it; forecasts are none. Every
-- count is made for itself and joined afterwards, so that none multiplies another.

\echo '1. Coverage of AAPL, MSFT, NVDA, TSLA and GOOGL'
select c.symbol, t.timeframe::text, b.bars, b.earliest, b.latest
  from unnest(array['AAPL', 'MSFT', 'NVDA', 'TSLA', 'GOOGL']) with ordinality c (symbol, place)
  cross join unnest(stored_timeframes()) t (timeframe)
  left join symbols s on s.ticker = c.symbol
  cross join lateral (
    select count(distinct o.ts) as bars, min(o.ts) as earliest, max(o.ts) as latest
      from ohlc_bars_v2 o
     where o.symbol_id = s.id and o.timeframe = t.timeframe and not o.is_forecast
  ) b
 order by c.place, t.timeframe::text;

\echo '2. Jobs of the last hour by timeframe'
select timeframe, total_jobs, queued, running, success, failed, total_bars_written,
  round(avg_duration_seconds::numeric, 1)::double precision as avg_duration_seconds
  from get_timeframe_job_stats(1);

\echo '3. Definitions by timeframe'
select d.timeframe::text, count(*) as total, count(*) filter (where d.enabled) as enabled,
  round(avg(d.priority) filter (where d.enabled), 1)::double precision as avg_priority,
  min(d.priority) filter (where d.enabled) as min_priority,
  max(d.priority) filter (where d.enabled) as max_priority
  from job_definitions d
 where d.timeframe = any (stored_timeframes())
 group by d.timeframe
 order by d.timeframe::text;

\echo '4. Coverage status by timeframe'
select c.timeframe::text, count(*) as symbols,
  round(avg(extract(epoch from c.to_ts - c.from_ts)) / 86400, 1)::double precision
    as avg_coverage_days,
  min(c.last_success_at) as oldest_fetch, max(c.last_success_at) as newest_fetch,
  -- Of each symbol's last run only: the stored bars are in the reports 1, 6 and 9.
  coalesce(sum(c.last_rows_written), 0)::bigint as rows_of_last_runs
  from coverage_status c
 where c.timeframe = any (stored_timeframes())
 group by c.timeframe
 order by c.timeframe::text;

\echo '5. Tracked symbols by source'
select u.source, count(distinct u.symbol_id) as symbols, count(*) as entries,
  round(avg(u.priority), 1)::double precision as avg_priority,
  min(u.created_at) as first_tracked, max(u.updated_at) as last_updated
  from user_symbol_tracking u
 group by u.source
 order by avg_priority desc, u.source;

\echo '6. Coverage of AAPL by timeframe'
select timeframe, bars_count, earliest_bar, latest_bar,
  round(coverage_days::numeric, 1)::double precision as coverage_days, last_fetch, job_enabled,
  job_priority
  from get_symbol_timeframe_coverage('AAPL');

\echo '7. Failed runs of the last hour'
select r.symbol, r.timeframe::text, r.error_code, r.attempt, r.started_at, r.finished_at,
  round(extract(epoch from r.finished_at - r.started_at), 1)::double precision as seconds,
  r.error_message
  from job_runs r
 where r.status = 'failed' and coalesce(r.finished_at, r.updated_at) >= now() - interval '1 hour'
 order by coalesce(r.finished_at, r.updated_at) desc, r.symbol, r.timeframe::text
 limit 20;

\echo '8. Most wanted symbols that wait for bars'
-- Sessions are those of the window before today; settled ones have their bars or a final reason.
-- Who waits is found by the totals: no session of a symbol is looked at that has all between its
-- first and today. What is counted is counted of those that are shown.
with today as materialized (
  select market_today() as day, coalesce(
    (select value::date from installation where name = 'first_date'), '-infinity') as first_date
), windows as materialized (
  select w.window_days, w.first_day,
    (select min(m.day) from market_sessions m where m.day >= w.first_day and m.day < w.today) as start
    from (
      select distinct d.window_days, greatest(t.day - d.window_days, t.first_date) as first_day,
        t.day as today
        from job_definitions d cross join today t
    ) w
), ledger as materialized (
  select s.symbol_id, f.first,
    s.final - (select count(*) from session_coverage k
      where k.symbol_id = s.symbol_id and k.day >= t.day and k.state = 'final') as settled
    from session_totals s cross join today t
    cross join lateral (
      select min(k.day) as first from session_coverage k where k.symbol_id = s.symbol_id) f
), spans as materialized (
  select l.first, count(m.day) as sessions
    from (select distinct first from ledger) l cross join today t
    left join market_sessions m on m.day >= l.first and m.day < t.day
   group by l.first
), active as materialized (
  select x.job_def_id, count(*) filter (where x.status = 'queued') as pending,
    count(*) filter (where x.status = 'running') as running
    from job_runs x where x.status in ('queued', 'running')
   group by x.job_def_id
), waiting as materialized (
  select s.id as symbol_id, d.symbol, d.timeframe, d.priority, d.window_days, w.first_day,
    t.day as today, coalesce(a.pending, 0) as pending, coalesce(a.running, 0) as running
    from job_definitions d
    join symbols s on s.ticker = d.symbol
    join windows w using (window_days)
    cross join today t
    left join ledger l on l.symbol_id = s.id
    left join spans p on p.first = l.first
    left join active a on a.job_def_id = d.id
   where d.enabled and d.job_type <> 'run_forecast' and d.timeframe = any (stored_timeframes())
     and (a.job_def_id is not null or case
       when w.start is null then false
       when l.first is null or w.start < l.first then true
       when l.settled = p.sessions then false
       -- The newest first: it is yesterday's that is missing most often.
       else (
         select true from market_sessions m
          where m.day >= w.start and m.day < t.day and not exists (
            select from session_coverage k
             where k.symbol_id = s.id and k.day = m.day and k.state = 'final')
          order by m.day desc limit 1) is not null
     end)
   order by d.priority desc, d.symbol, d.timeframe::text
   limit 50
)
select q.symbol, q.timeframe::text, q.priority, q.window_days, c.sessions, c.settled,
  q.pending, q.running, v.last_success_at
  from waiting q
  cross join lateral (
    select count(*) as sessions, count(*) filter (where k.state = 'final') as settled
      from market_sessions m
      left join session_coverage k on k.symbol_id = q.symbol_id and k.day = m.day
     where m.day >= q.first_day and m.day < q.today
  ) c
  left join coverage_status v on v.symbol = q.symbol and v.timeframe = q.timeframe
 order by q.priority desc, q.symbol, q.timeframe::text;

\echo '9. Progress of tracked symbols'
-- Queued and running is what is so now; completed is what ended after the first user tracked it.
with tracked as materialized (
  select u.source, s.id as symbol_id, s.ticker, max(u.priority) as priority, count(*) as users,
    min(u.created_at) as since
    from user_symbol_tracking u join symbols s on s.id = u.symbol_id
   group by u.source, s.id, s.ticker
), counted as materialized (
  select k.symbol_id,
    (select count(distinct o.ts) from ohlc_bars_v2 o where o.symbol_id = k.symbol_id
        and o.timeframe = 'h1' and not o.is_forecast) as h1,
    (select count(distinct o.ts) from ohlc_bars_v2 o where o.symbol_id = k.symbol_id
        and o.timeframe = 'h4' and not o.is_forecast) as h4,
    (select count(distinct o.ts) from ohlc_bars_v2 o where o.symbol_id = k.symbol_id
        and o.timeframe = 'm15' and not o.is_forecast) as m15
    from (select distinct symbol_id from tracked) k
)
select t.source, t.ticker as symbol, t.priority, t.users, c.h1, c.h4, c.m15,
  r.queued, r.running, r.completed, r.last_finished
  from tracked t
  join counted c using (symbol_id)
  cross join lateral (
    select count(*) filter (where x.status = 'queued') as queued,
      count(*) filter (where x.status = 'running') as running,
      count(*) filter (where x.status = 'success' and x.finished_at >= t.since) as completed,
      max(x.finished_at) filter (where x.status = 'success') as last_finished
      from job_runs x where x.symbol = t.ticker
  ) r
 order by t.priority desc, t.ticker, t.source;

\echo '10. Health of the last hour by timeframe'
-- Success and failure are what ended in the last hour; the rest is what is so now, retrying what was
-- refused and waits for its next attempt. The share of successes decides, whatever their number: two
-- years of a symbol are ten slices. Idle is to have nothing to do; late is to have had something to
-- do for an hour without an end.
with counted as (
  select t.timeframe,
    count(r.id) filter (where r.status = 'success' and r.finished_at >= h.since) as success,
    count(r.id) filter (
      where r.status = 'failed' and coalesce(r.finished_at, r.updated_at) >= h.since) as failed,
    count(r.id) filter (where r.status = 'running') as running,
    count(r.id) filter (where r.status = 'queued') as queued,
    count(r.id) filter (
      where r.status in ('queued', 'running') and r.error_code is not null) as retrying,
    count(r.id) filter (
      where (r.status = 'queued' and coalesce(r.next_attempt_at, r.created_at) < h.since)
        or (r.status = 'running' and r.updated_at < h.since)) as late
    from unnest(stored_timeframes()) t (timeframe)
    cross join (select now() - interval '1 hour' as since) h
    left join job_runs r on r.timeframe = t.timeframe
     and (r.status in ('queued', 'running') or r.updated_at >= h.since)
   group by t.timeframe
), rated as (
  select c.*, coalesce(
      round(100.0 * c.success / nullif(c.success + c.failed, 0), 1), 0)::double precision as rate
    from counted c
)
select timeframe::text, success, failed, running, queued, retrying, rate as success_rate_pct,
  case
    when success + failed = 0 and late > 0 then 'Unhealthy'
    when success + failed + running + queued = 0 then 'Idle'
    when success + failed > 0 and rate <= 75 then 'Unhealthy'
    when (success + failed > 0 and rate <= 90) or retrying > 0 then 'Degraded'
    else 'Healthy'
  end as health_status
  from rated
 order by timeframe::text;
