drop function replace_live_bars(uuid, date[], timestamptz, timestamptz);
drop table finalizations;
