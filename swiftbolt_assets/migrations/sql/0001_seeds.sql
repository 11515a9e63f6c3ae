-- What stands in a fresh installation, and who may call what.

-- An operator's upsert: it overwrites, up or down.
create function seed_intraday_backfill_job(
  p_symbol text, p_timeframe text, p_window_days integer default 730, p_priority integer default 100)
returns uuid language plpgsql as $$
declare
  definition uuid;
begin
  if p_timeframe is null or p_timeframe not in ('m15', 'h1', 'h4') then
    raise exception using
      errcode = 'invalid_parameter_value',
      message = format('p_timeframe: %s is none of m15, h1, h4', coalesce(p_timeframe, 'null'));
  end if;
  insert into job_definitions as d (job_type, symbol, timeframe, window_days, priority, enabled)
  values ('fetch_intraday', upper(trim(p_symbol)), p_timeframe::timeframe, p_window_days, p_priority, true)
  on conflict (symbol, timeframe, job_type) do update set
    window_days = excluded.window_days, priority = excluded.priority, enabled = true
  returning d.id into definition;
  return definition;
end
$$;

select seed_intraday_backfill_job('AAPL', 'm15', 730, 200);

-- Popular symbols that are filled when nobody waits for anything: below every person's priority.
insert into job_definitions as d (job_type, symbol, timeframe, window_days, priority)
select 'fetch_intraday', ticker, w.timeframe, w.window_days,
  case w.timeframe when 'h1' then 60 when 'h4' then 50 else 40 end
  from unnest(array[
    'AAPL', 'MSFT', 'NVDA', 'GOOGL', 'TSLA', 'AMD', 'META', 'NFLX', 'ADBE', 'AMZN',
    'CRM', 'CSCO', 'INTC', 'ORCL', 'QCOM', 'TXN', 'AVGO', 'MU', 'AMAT', 'LRCX'
  ]) with ordinality as t (ticker, position)
  cross join interest_windows w
 order by position, w.timeframe
on conflict (symbol, timeframe, job_type) do update set
  window_days = greatest(d.window_days, excluded.window_days),
  priority = greatest(d.priority, excluded.priority);

-- People without an account of their own are this one.
do $$
begin
  insert into auth.users (id) values ('00000000-0000-0000-0000-000000000000') on conflict do nothing;
exception
  when insufficient_privilege or not_null_violation then
    raise notice 'auth.users is managed elsewhere; set SWIFTBOLT_ANON_USER to one of its rows';
end
$$;

-- The platform's own daemon ticks; where no pg_cron is, the question for its entry has an answer.
do $$
begin
  -- A schema of that name is pg_cron's or somebody else's; ours is made where none is.
  if to_regnamespace('cron') is null then
    create schema cron;
    create view cron.job as
      select 1::bigint as jobid, '* * * * *'::text as schedule,
        'the platform''s daemon ticks by itself'::text as command,
        'localhost'::text as nodename, 0 as nodeport, current_database()::text as database,
        current_user::text as username,
        -- As the platform's last tick says.
        exists (
          select from heartbeats
           where name = 'orchestrator-tick' and beat_at > clock_timestamp() - interval '2 minutes'
        ) as active,
        'orchestrator-tick'::text as jobname;
    create view cron.job_run_details as
      select 1::bigint as jobid, row_number() over (order by r.updated_at)::bigint as runid,
        case r.status when 'success' then 'succeeded' else r.status end as status,
        r.error_message as return_message, r.started_at as start_time, r.finished_at as end_time
        from job_runs r where r.started_at is not null;
  end if;
end
$$;

-- Writing functions are for the platform and the service role.
do $$
declare
  f text;
begin
  foreach f in array array[
    'plan_job_runs(text, integer)', 'cancel_unwanted_slices(text[])', 'mirror_slices(text[])',
    'insert_slices(text[], date)', 'claim_symbol(uuid, integer)', 'claim_queued_job()',
    'begin_slices(text, date, date)', 'settle_slices(uuid, date, date, text)',
    'fail_slices(text, text, text, boolean, integer)', 'release_claims(uuid[], text, date, date, text, integer)',
    'cancel_claims(uuid[], text)', 'release_abandoned(integer)', 'restart_slices(text)', 'reset_stale_running_jobs(integer, integer)',
    'seed_intraday_backfill_job(text, text, integer, integer)',
    'auto_create_jobs_for_tracked_symbols()', 'set_tracking_priority()', 'complete_job_definition()',
    'complete_job_run()', 'hand_down_priority()', 'announce_work()', 'mark_plans_stale()',
    'requeue_failed(text, boolean)', 'wanted_priority(text, integer)'
  ] loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', f);
  end loop;
end
$$;
revoke all on function get_job_progress(uuid) from public;
grant execute on function get_job_progress(uuid) to anon, authenticated, service_role;
