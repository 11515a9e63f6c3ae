alter table rate_waiter add column turn integer not null default 0;

-- Whether the live provider was asked about all of a session: then its bars are shown, though the final
-- ones are still to be fetched.
alter table session_coverage add column live_whole boolean not null default false;

-- What has just been listed is in the index itself: the list of what is still to be entered there was read
-- as a whole by each search, until a vacuum came by.
alter index listed_tickers_words set (fastupdate = off);
alter index symbols_words_search set (fastupdate = off);
