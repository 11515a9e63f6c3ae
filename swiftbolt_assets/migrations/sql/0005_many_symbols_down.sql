drop index job_runs_finished, job_runs_symbol;
