-- Back to an empty database; roles and the auth schema stay, they may be somebody else's.
drop table if exists provider_health, rate_waiter, rate_slot, rate_limit cascade;
drop table watchlist_items, watchlists, user_symbol_tracking;
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
       'hold_symbols')
        or (n.nspname = current_schema() and p.proname like 'rate\_%')
  loop
    execute format('drop function %s cascade', f.signature);
  end loop;
end
$$;
drop type timeframe, data_provider, asset_type;
