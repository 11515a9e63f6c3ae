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
      (count(*) filter (where r.status = 'failed'))::integer as failed,
      coalesce(sum(r.rows_written), 0)::integer as written
      from definition d join job_runs r on r.job_def_id = d.id
       and r.status <> 'cancelled' and (r.last_day is null or r.last_day >= d.first_day)
  )
  select r.success + r.running + r.queued + r.failed, r.success, r.running, r.queued, r.failed,
    case when y.sessions = 0 then 100 else y.settled * 100 / y.sessions end, r.written,
    y.sessions, y.settled, y.settled = y.sessions
    from definition d cross join days y cross join runs r
$$;
do $$
begin
  execute format(
    'alter function get_job_progress(uuid) set search_path = %I, pg_temp', current_schema());
end
$$;
drop function count_chart_bars(uuid, timeframe, date);
