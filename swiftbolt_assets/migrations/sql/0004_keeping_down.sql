delete from heartbeats where name = 'retention';
drop table database_sizes;
