drop function recheck_symbols(text[], integer);
drop table rechecks;
