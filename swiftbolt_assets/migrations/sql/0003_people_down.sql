drop trigger watchlist_items_limit on watchlist_items;
drop function get_session_gaps(text, date, date), limit_watchlist_items(),
  ensure_job(text, text, integer, integer), admit_symbols(text[]), admit_caller();
