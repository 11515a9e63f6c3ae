-- Done slices are most of job_runs: 300,000 rows of ten thousand symbols over two years.

-- Of one symbol, whatever their state: `status SYMBOL`, and the monitoring report of who tracks what.
create index job_runs_symbol on job_runs (symbol, status);
-- The latest that ended: `status`, and the orchestrator's.
create index job_runs_finished on job_runs (finished_at desc nulls last)
  where status in ('success', 'failed');
