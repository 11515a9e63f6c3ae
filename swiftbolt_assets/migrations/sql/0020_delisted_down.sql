-- What was asked for and found empty is so; what rested on the state alone is missing.
delete from session_coverage where reason = 'delisted' and answers = 0;
update session_coverage set reason = 'provider_empty', ask_again_at = null where reason = 'delisted';
alter table session_coverage
  drop constraint session_coverage_reason_check,
  add constraint session_coverage_reason_check check (reason in (
    'no_trade', 'halted', 'not_listed', 'plan_cut', 'rejected', 'unconfirmed',
    'provider_empty', 'provider_error', 'not_fetched'));
delete from heartbeats where name = 'delisted';

create or replace function plan_doubted_sessions() returns integer language plpgsql as $$
declare
  instant timestamptz := market_now();
  today date := market_today();
  marked integer;
begin
  update symbol_plans p set stale = true
   where not p.stale and p.symbol in (
     select w.symbol
       from session_coverage c
       join symbols s on s.id = c.symbol_id
       join wanted_symbols w on w.symbol = s.ticker and c.day >= today - w.window_days
      where c.ask_again_at <= instant and c.state = 'final'
        and not exists (
          select from job_runs r
           where r.symbol = s.ticker and r.status in ('queued', 'running')
             and c.day between r.first_day and r.last_day));
  get diagnostics marked = row_count;
  return marked;
end
$$;

-- Cuts the missing sessions of symbols into slices, and those that are due again. A slice spans at most
-- one request's sessions, never one that is in another slice; slices are counted from the newest
-- missing session on. What failed once takes no session away.
create or replace function insert_slices(p_symbols text[], p_newest date)
returns integer language plpgsql as $$
declare
  today date := market_today();
  instant timestamptz := market_now();
  earliest date := first_fetched_day();
  width integer := sessions_a_request();
  added integer;
begin
  with wanted as materialized (
    select w.symbol, s.id as symbol_id, greatest(today - w.window_days, earliest) as first_day,
      w.priority, row_number() over (order by w.since, w.symbol) as rank
      from wanted_symbols w join symbols s on s.ticker = w.symbol
     where w.symbol = any(p_symbols)
       -- What a provider refuses for good is not asked for again until a person asks.
       and not exists (
         select from symbol_refusals f where f.symbol = w.symbol and f.final_at is not null)
  ), calendar as materialized (
    select day, opens, closes, (row_number() over (order by day desc))::integer as number
      from market_sessions
     where day <= p_newest and day >= (select min(first_day) from wanted)
  ), slices_under_way as materialized (
    select distinct symbol, first_day, last_day from job_runs
     where symbol = any(p_symbols) and status in ('queued', 'running') and first_day is not null
  ), taken as materialized (
    select distinct u.symbol, c.number
      from slices_under_way u join calendar c on c.day between u.first_day and u.last_day
  ), unsettled as (
    select w.symbol, w.rank, c.number, c.day, t.number is not null as is_taken
      from wanted w
      join calendar c on c.day >= w.first_day
      left join session_coverage v
        on v.symbol_id = w.symbol_id and v.day = c.day and v.state = 'final'
       and coalesce(v.ask_again_at > instant, true)
      left join taken t on t.symbol = w.symbol and t.number = c.number
     where v.day is null or t.number is not null
  ), blocks as (
    select *, count(*) filter (where is_taken) over newest_first as block,
      lag(number) over newest_first as newer
      from unsettled window newest_first as (partition by symbol order by number)
  ), islands as (
    select symbol, number, day, block,
      count(*) filter (where newer is null or number - newer >= width)
        over (partition by symbol order by number) as island
      from blocks where not is_taken
  ), cut as (
    select symbol, day,
      (number - min(number) over (partition by symbol, block, island)) / width as part, block, island
      from islands
  ), slices as (
    select symbol, min(day) as first_day, max(day) as last_day, count(*)::integer as sessions
      from cut group by symbol, block, island, part
  )
  insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, first_day,
    last_day, sessions, priority, created_at)
  select d.id, s.symbol, d.timeframe, d.job_type, a.opens, z.closes, s.first_day, s.last_day,
    s.sessions, w.priority,
    -- Of symbols that are planned together the one goes first that was wanted first.
    clock_timestamp() + w.rank * interval '1 microsecond'
    from slices s
    join wanted w using (symbol)
    join calendar a on a.day = s.first_day
    join calendar z on z.day = s.last_day
    join job_definitions d on d.symbol = s.symbol and d.enabled and d.job_type <> 'run_forecast'
     and d.timeframe in ('m15', 'h1', 'h4') and s.last_day >= today - d.window_days
   order by w.rank, s.last_day desc, d.timeframe
  on conflict do nothing;
  get diagnostics added = row_count;
  return added;
end
$$;

drop function wanted_window(text), note_delisted_sessions(text[], date, date),
  declare_delisted(uuid, date, date, text, date), ask_delisted(text[], date), end_delisted(uuid),
  delisted_answered(uuid, date, text);
drop table delisted_symbols;
alter table symbols drop column listed_on;
