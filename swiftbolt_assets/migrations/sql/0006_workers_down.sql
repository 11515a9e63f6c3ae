delete from installation where name in ('id', 'queue');
drop table worker_runs, workers;
