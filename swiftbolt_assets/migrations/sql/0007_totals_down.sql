drop trigger session_coverage_totals_truncate on session_coverage;
drop trigger session_coverage_totals_delete on session_coverage;
drop trigger session_coverage_totals_update on session_coverage;
drop trigger session_coverage_totals_insert on session_coverage;
drop function recount_session_totals(), add_session_totals();
drop table session_totals;
