drop trigger job_runs_changed on job_runs;
drop trigger job_runs_announced on job_runs;
drop trigger session_coverage_changed on session_coverage;
drop trigger session_coverage_added on session_coverage;
drop function announce_slices(), announce_sessions();
