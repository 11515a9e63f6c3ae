drop table live_refreshes;
