drop function reopen_late_sessions();
alter table session_coverage drop column ask_again_at;
drop function replace_live_bars(uuid, date[], timestamptz, timestamptz);
drop table finalizations;
