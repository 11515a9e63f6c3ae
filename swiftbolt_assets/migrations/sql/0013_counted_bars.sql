-- Bars are counted where they are stored, no longer in the slices that brought them: a slice counts
-- for one definition only, is pruned after a while, and knows nothing of today.

-- How many bars a chart shows of a timeframe since a New York date, today's included, forecasts not.
-- Which bars a chart shows is said at `get_chart_bars`; this counts the same ones without reading
-- their prices. Days and weeks are made of 15-minute bars: there is one where a session has any, and
-- the first week is whole.
create function count_chart_bars(p_symbol_id uuid, p_timeframe timeframe, p_first_day date)
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
revoke all on function count_chart_bars(uuid, timeframe, date)
  from public, anon, authenticated, service_role;
grant execute on function count_chart_bars(uuid, timeframe, date)
  to anon, authenticated, service_role;

-- How far a definition is (0001_work.sql), with the bars of its own timeframe.
create or replace function get_job_progress(p_job_def_id uuid)
returns table (total_slices integer, completed_slices integer, running_slices integer,
  queued_slices integer, failed_slices integer, progress_percent integer, bars_written integer,
  sessions integer, sessions_settled integer, complete boolean)
language sql stable security definer as $$
  with definition as (
    select d.*, s.id as symbol_id,
      greatest(market_today() - d.window_days, first_fetched_day()) as first_day
      from job_definitions d join symbols s on s.ticker = d.symbol where d.id = p_job_def_id
  ), days as (
    select count(*)::integer as sessions,
      (count(*) filter (where c.state = 'final'))::integer as settled
      from definition d
      join market_sessions m on m.day >= d.first_day and m.day < market_today()
      left join session_coverage c on c.symbol_id = d.symbol_id and c.day = m.day
  ), runs as (
    select (count(*) filter (where r.status = 'success'))::integer as success,
      (count(*) filter (where r.status = 'running'))::integer as running,
      (count(*) filter (where r.status = 'queued'))::integer as queued,
      (count(*) filter (where r.status = 'failed'))::integer as failed
      from definition d join job_runs r on r.job_def_id = d.id
       and r.status <> 'cancelled' and (r.last_day is null or r.last_day >= d.first_day)
  )
  select r.success + r.running + r.queued + r.failed, r.success, r.running, r.queued, r.failed,
    case when y.sessions = 0 then 100 else y.settled * 100 / y.sessions end,
    count_chart_bars(d.symbol_id, d.timeframe, market_today() - d.window_days),
    y.sessions, y.settled, y.settled = y.sessions
    from definition d cross join days y cross join runs r
$$;
do $$
begin
  execute format(
    'alter function get_job_progress(uuid) set search_path = %I, pg_temp', current_schema());
end
$$;
