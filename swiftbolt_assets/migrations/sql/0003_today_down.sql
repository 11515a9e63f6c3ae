drop function rate_begin(text, integer, double precision);
alter table rate_limit drop column began_with;
