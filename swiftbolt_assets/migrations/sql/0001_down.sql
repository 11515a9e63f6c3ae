-- Back to an empty database; roles and the auth schema stay, they may be somebody else's.
drop table if exists provider_health, rate_waiter, rate_slot, rate_limit cascade;
drop table watchlist_items, watchlists, user_symbol_tracking, interest_priorities, interest_windows;
drop view wanted_symbols;
do $$
begin
  -- The stand-in for pg_cron's table is ours where it is a view.
  if exists (select from pg_views where schemaname = 'cron' and viewname = 'job') then
    drop view if exists cron.job_run_details, cron.job;
    drop schema cron;
  end if;
end
$$;
drop table symbol_plans, heartbeats;
drop table coverage_status, job_runs, job_definitions, provider_requests, rejected_bars,
  session_coverage, splits, ohlc_bars_v2, market_sessions, installation, symbols cascade;
do $$
declare
  f record;
begin
  for f in
    select p.oid::regprocedure as signature
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = current_schema() and p.proname in (
       'market_now', 'market_today', 'new_york_midnight', 'touch_updated_at',
       'ensure_bar_partitions', 'validate_ohlc_v2_write', 'delete_bars_of_symbol',
       'hold_symbols',
       'set_tracking_priority', 'auto_create_jobs_for_tracked_symbols', 'complete_job_definition',
       'sessions_a_request', 'plan_job_runs', 'cancel_unwanted_slices', 'mirror_slices',
       'insert_slices', 'complete_job_run', 'mark_plans_stale', 'requeue_failed', 'wanted_priority',
       'first_fetched_day', 'announce_work', 'hand_down_priority', 'claim_symbol',
       'claim_queued_job', 'begin_slices', 'settle_slices', 'retry_delay', 'fail_slices',
       'release_claims', 'cancel_claims', 'release_abandoned', 'restart_slices', 'reset_stale_running_jobs', 'get_job_progress',
       'seed_intraday_backfill_job', 'parse_timeframe',
       'get_coverage', 'get_coverage_gaps', 'job_slice_exists', 'get_symbol_timeframe_coverage',
       'get_timeframe_job_stats', 'get_user_tracked_symbols_status', 'get_chart_data_v2')
        or (n.nspname = current_schema() and p.proname like 'rate\_%')
  loop
    execute format('drop function %s cascade', f.signature);
  end loop;
end
$$;
drop type timeframe, data_provider, asset_type;
