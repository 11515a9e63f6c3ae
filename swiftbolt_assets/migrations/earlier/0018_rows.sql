-- What was planned by what was true before.
with strayed as materialized (
  select r.id, w.priority from job_runs r join wanted_symbols w on w.symbol = r.symbol
   where r.status in ('queued', 'running', 'failed') and r.priority <> w.priority
   order by r.id for update of r
)
update job_runs r set priority = s.priority from strayed s where r.id = s.id;
update session_coverage c set live_whole = true
  from live_refreshes l, market_sessions m
 where l.symbol_id = c.symbol_id and m.day = c.day and c.state = 'provisional' and c.bars > 0
   and c.day = (l.closed_through at time zone 'America/New_York')::date and l.closed_through >= m.closes;
select gin_clean_pending_list(format('%I.%I', current_schema(), one)::regclass)
  from unnest(array['listed_tickers_words', 'symbols_words_search']) one;
