-- Bars are counted where they are stored, no longer in the slices that brought them: a slice counts
-- for one definition only, is pruned after a while, and knows nothing of today.

-- How many bars a chart shows of a timeframe since a New York date, today's included, forecasts not;
-- days and weeks are made of 15-minute bars, weeks whole. Which bars a chart shows is said at
-- `get_chart_bars`; this counts the same ones without reading their prices.
create function count_chart_bars(p_symbol_id uuid, p_timeframe timeframe, p_first_day date)
returns integer language plpgsql stable as $$
declare
  today date := market_today();
  midnight timestamptz := new_york_midnight(today);
  is_made boolean := p_timeframe in ('d1', 'w1');
  first_day date := case
    when p_timeframe = 'w1' then date_trunc('week', p_first_day::timestamp)::date else p_first_day end;
begin
  return (
    select case
      when is_made then count(distinct date_trunc(
        case p_timeframe when 'w1' then 'week' else 'day' end, o.ts at time zone 'America/New_York'))
      else count(distinct o.ts) end
      from ohlc_bars_v2 o
     where o.symbol_id = p_symbol_id
       and o.timeframe = case when is_made then 'm15' else p_timeframe end
       and not o.is_forecast
       and o.ts >= new_york_midnight(first_day) and o.ts < new_york_midnight(today + 1)
       and case
         when o.ts < midnight then o.provider in ('polygon', 'tradier') else o.provider = 'tradier' end);
end
$$;
revoke all on function count_chart_bars(uuid, timeframe, date)
  from public, anon, authenticated, service_role;
grant execute on function count_chart_bars(uuid, timeframe, date)
  to anon, authenticated, service_role;

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
