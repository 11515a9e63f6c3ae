-- From definitions to slices: which sessions are missing, cut into stretches of one request each.
-- Set-based and repeatable: what stands is not planned again, and nothing overlaps.

-- For what each symbol was planned last; a plan is made anew when that changes or it is stale.
create table symbol_plans (
  symbol text primary key,
  wanted text not null,
  last_day date not null,
  stale boolean not null default false,
  planned_at timestamptz not null default clock_timestamp()
);
create index symbol_plans_stale on symbol_plans (symbol) where stale;
alter table symbol_plans enable row level security;
revoke all on symbol_plans from public, anon, authenticated, service_role;

-- Whether the platform ticks: what a tick writes down.
create table heartbeats (
  name text primary key,
  beat_at timestamptz not null
);
alter table heartbeats enable row level security;
revoke all on heartbeats from public, anon, authenticated, service_role;

-- The enabled definitions of each symbol, folded: the widest window decides what is fetched, the
-- highest priority when.
create view wanted_symbols as
  select symbol, max(window_days) as window_days, max(priority) as priority,
    min(created_at) as since,
    string_agg(timeframe::text || window_days || job_type, ' ' order by timeframe, job_type) as wanted
    from job_definitions
   where enabled and job_type <> 'run_forecast' and timeframe in ('m15', 'h1', 'h4')
   group by symbol;
revoke all on wanted_symbols from public, anon, authenticated, service_role;

-- How much a symbol is wanted now, or what its slice says when nobody wants it.
create function wanted_priority(p_symbol text, p_otherwise integer) returns integer
language sql stable as $$
  select coalesce((select priority from wanted_symbols where symbol = p_symbol), p_otherwise)
$$;

-- The installation's first session: nothing before it is fetched.
create function first_fetched_day() returns date language sql stable as $$
  select coalesce((select value::date from installation where name = 'first_date'), '-infinity')
$$;

-- Sessions that always fit one request: 50,000 one-minute bars, 960 a session at most.
create function sessions_a_request() returns integer language sql immutable parallel safe
  return 52;

-- Plans every symbol whose definitions, calendar or ledger changed, or one symbol; returns how many
-- rows of job_runs were added. Symbols below a priority stay unplanned.
create function plan_job_runs(p_symbol text default null, p_least_priority integer default 0)
returns integer language plpgsql as $$
declare
  newest date := (select max(day) from market_sessions where day < market_today());
  due text[];
  added integer := 0;
  mirrored integer;
begin
  -- One planner at a time: two would both find the same sessions missing.
  perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
  perform requeue_failed(p_symbol, false);
  select array_agg(coalesce(w.symbol, p.symbol)) into due
    from wanted_symbols w full join symbol_plans p using (symbol)
   where (p_symbol is null or coalesce(w.symbol, p.symbol) = p_symbol)
     and (w.symbol is null or w.priority >= p_least_priority)
     and (p.wanted is distinct from coalesce(w.wanted, '') or p.stale or p.last_day <> newest);
  if due is null or newest is null then
    return 0;
  end if;
  -- A definition that is deleted meanwhile would take its slices from under the plan.
  perform from job_definitions d where d.symbol = any(due) order by d.id for key share;
  begin
    -- Noted before the work: what changes during it is planned the next time.
    insert into symbol_plans (symbol, wanted, last_day)
    select s.symbol, coalesce(w.wanted, ''), newest
      from unnest(due) as s (symbol) left join wanted_symbols w using (symbol)
    on conflict (symbol) do update set
      wanted = excluded.wanted, last_day = excluded.last_day, stale = false,
      planned_at = clock_timestamp();
    perform cancel_unwanted_slices(due);
    mirrored := mirror_slices(due);
    added := insert_slices(due, newest);
  exception
    -- A definition came and went meanwhile: the next look plans without it.
    when foreign_key_violation then
      return 0;
  end;
  return added + mirrored;
end
$$;

-- What failed for a passing reason is tried anew when its time has come, everything that failed when
-- a person asks. Of the same slice twice, one goes: it may be at work once only.
create function requeue_failed(p_symbol text, p_at_once boolean) returns integer
language plpgsql as $$
declare
  requeued integer;
begin
  with due as materialized (
    select r.id, r.symbol, r.timeframe, r.slice_from, r.slice_to, r.created_at from job_runs r
     where r.status = 'failed' and (p_at_once or r.next_attempt_at <= clock_timestamp())
       and (p_symbol is null or r.symbol = p_symbol)
     order by r.id for update
  ), judged as (
    select d.id,
      row_number() over (
        partition by d.symbol, d.timeframe, d.slice_from, d.slice_to,
          case when d.slice_from is null or d.slice_to is null then d.id end
        order by d.created_at desc, d.id) > 1
      or exists (
        select from job_runs o
         where o.symbol = d.symbol and o.timeframe = d.timeframe and o.slice_from = d.slice_from
           and o.slice_to = d.slice_to and o.status in ('queued', 'running')) as is_double
      from due d
  )
  update job_runs r set
    status = case when j.is_double then 'cancelled' else 'queued' end,
    finished_at = case when j.is_double then clock_timestamp() end,
    attempt = 1, next_attempt_at = null, priority = wanted_priority(r.symbol, r.priority)
    from judged j where r.id = j.id;
  get diagnostics requeued = row_count;
  return requeued;
end
$$;

-- Cancels waiting slices that no enabled definition's window reaches any more, or whose symbol or
-- first day the installation no longer has. What somebody inserted without a definition stays.
create function cancel_unwanted_slices(p_symbols text[]) returns void language sql as $$
  with unwanted as materialized (
    select r.id from job_runs r
     where r.symbol = any(p_symbols) and r.status in ('queued', 'failed') and r.claim_id is null
       and r.first_day is not null
       and (r.first_day < (select first_fetched_day())
         or not exists (select from symbols s where s.ticker = r.symbol)
         or (r.job_def_id is not null and not exists (
           select from job_definitions d
            where d.id = r.job_def_id and d.enabled
              and r.last_day >= (select market_today()) - d.window_days)))
     order by r.id for update of r
  )
  update job_runs r set status = 'cancelled', finished_at = clock_timestamp()
    from unwanted u where r.id = u.id
$$;

-- A definition that comes later joins the slices under way that its window reaches.
create function mirror_slices(p_symbols text[]) returns integer language plpgsql as $$
declare
  added integer;
begin
  insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, status, attempt,
    started_at, first_day, last_day, sessions, priority, next_attempt_at, claim_id, claimed_at,
    triggered_by, created_at)
  select distinct on (d.id, r.first_day, r.last_day)
    d.id, r.symbol, d.timeframe, d.job_type, r.slice_from, r.slice_to, r.status, r.attempt,
    r.started_at, r.first_day, r.last_day, r.sessions, r.priority, r.next_attempt_at, r.claim_id,
    r.claimed_at, r.triggered_by, r.created_at
    from job_runs r
    join job_definitions d on d.symbol = r.symbol and d.enabled and d.job_type <> 'run_forecast'
     and d.timeframe in ('m15', 'h1', 'h4') and d.timeframe <> r.timeframe
     and r.last_day >= (select market_today()) - d.window_days
   where r.symbol = any(p_symbols) and r.status in ('queued', 'running') and r.first_day is not null
     and not exists (
       select from job_runs x
        where x.symbol = r.symbol and x.timeframe = d.timeframe
          and x.status in ('queued', 'running', 'failed')
          and x.first_day = r.first_day and x.last_day = r.last_day)
   order by d.id, r.first_day, r.last_day, r.status desc
  on conflict do nothing;
  get diagnostics added = row_count;
  return added;
end
$$;

-- Cuts the missing sessions of symbols into slices. A slice spans at most one request's sessions,
-- never one that is in another slice; slices are counted from the newest missing session on.
create function insert_slices(p_symbols text[], p_newest date) returns integer language plpgsql as $$
declare
  today date := market_today();
  earliest date := first_fetched_day();
  width integer := sessions_a_request();
  added integer;
begin
  with wanted as materialized (
    select w.symbol, s.id as symbol_id, greatest(today - w.window_days, earliest) as first_day,
      w.priority, row_number() over (order by w.since, w.symbol) as rank
      from wanted_symbols w join symbols s on s.ticker = w.symbol
     where w.symbol = any(p_symbols)
  ), calendar as materialized (
    select day, opens, closes, (row_number() over (order by day desc))::integer as number
      from market_sessions
     where day <= p_newest and day >= (select min(first_day) from wanted)
  ), slices_under_way as materialized (
    select distinct symbol, first_day, last_day from job_runs
     where symbol = any(p_symbols) and status in ('queued', 'running', 'failed')
       and first_day is not null
  ), taken as materialized (
    select distinct u.symbol, c.number
      from slices_under_way u join calendar c on c.day between u.first_day and u.last_day
  ), unsettled as (
    select w.symbol, w.rank, c.number, c.day, t.number is not null as is_taken
      from wanted w
      join calendar c on c.day >= w.first_day
      left join session_coverage v
        on v.symbol_id = w.symbol_id and v.day = c.day and v.state = 'final'
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

-- A slice that somebody inserts by hand gets its days, so that it is claimed like the others: those
-- before today, for no other day can be settled. A row for another worker gets none.
create function complete_job_run() returns trigger language plpgsql as $$
declare
  today date := market_today();
  earliest date := first_fetched_day();
begin
  new.symbol := upper(trim(new.symbol));
  if new.slice_from < new.slice_to and new.job_type <> 'run_forecast'
    and new.timeframe in ('m15', 'h1', 'h4') then
    select min(day), max(day), count(*) into new.first_day, new.last_day, new.sessions
      from market_sessions
     where closes > new.slice_from and opens < new.slice_to and day >= earliest and day < today;
  end if;
  return new;
end
$$;
create trigger job_runs_days before insert on job_runs
  for each row when (new.first_day is null) execute function complete_job_run();

-- What was taken away by hand is missing again, though no definition has changed.
create function mark_plans_stale() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'job_runs' then
    update symbol_plans set stale = true where symbol in (select symbol from changed);
  elsif tg_table_name = 'symbols' then
    update symbol_plans set stale = true where symbol in (select ticker from changed);
  elsif tg_table_name = 'session_coverage' then
    update symbol_plans set stale = true
     where symbol in (select s.ticker from changed c join symbols s on s.id = c.symbol_id);
  else
    update symbol_plans set stale = true;
  end if;
  return null;
end
$$;
create trigger job_runs_deleted after delete on job_runs
  referencing old table as changed for each statement execute function mark_plans_stale();
create trigger symbols_added after insert on symbols
  referencing new table as changed for each statement execute function mark_plans_stale();
create trigger symbols_deleted after delete on symbols
  referencing old table as changed for each statement execute function mark_plans_stale();
create trigger session_coverage_deleted after delete on session_coverage
  referencing old table as changed for each statement execute function mark_plans_stale();
create trigger installation_first_date after insert or update on installation
  for each row when (new.name = 'first_date') execute function mark_plans_stale();
