-- What stands in a fresh installation.
insert into interest_priorities values ('watchlist', 300), ('chart_view', 200), ('recent_search', 100);
insert into interest_windows values ('m15', 30), ('h1', 90), ('h4', 365);
-- Popular symbols that are filled when nobody waits for anything, below every person's priority; the
-- first of them before all others, so that a new installation shows a chart.
insert into job_definitions (job_type, symbol, timeframe, window_days, priority, origin)
select 'fetch_intraday', ticker, w.timeframe,
  case when is_first then 730 else w.window_days end,
  case when is_first then 200 when w.timeframe = 'h1' then 60 when w.timeframe = 'h4' then 50 else 40 end,
  'seed'
  from unnest(array[
    'AAPL', 'MSFT', 'NVDA', 'GOOGL', 'TSLA', 'AMD', 'META', 'NFLX', 'ADBE', 'AMZN',
    'CRM', 'CSCO', 'INTC', 'ORCL', 'QCOM', 'TXN', 'AVGO', 'MU', 'AMAT', 'LRCX'
  ]) with ordinality as t (ticker, position)
  cross join interest_windows w
  cross join lateral (select (ticker, w.timeframe) = ('AAPL', 'm15') as is_first) f
 order by position, w.timeframe;

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
insert into split_lookups (symbol) values ('*');

-- A fresh installation has nothing to prune for a day.
insert into heartbeats (name, beat_at) values ('retention', clock_timestamp())
on conflict (name) do nothing;

-- Part of each queue's name, so that two installations may share a broker.
insert into installation (name, value) values ('id', gen_random_uuid()::text);
insert into ticker_list default values;
