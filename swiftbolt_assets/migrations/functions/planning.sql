-- From definitions to slices: which sessions are missing, cut into stretches of one request each.
-- Set-based and repeatable: what stands is not planned again, and nothing overlaps.

-- Sessions that always fit one request: 50,000 one-minute bars, 960 a session at most.
create or replace function sessions_a_request() returns integer language sql immutable parallel safe
  return 52;

-- The installation's first session: nothing before it is fetched.
create or replace function first_fetched_day() returns date language sql stable as $$
  select coalesce((select value::date from installation where name = 'first_date'), '-infinity')
$$;

-- What was taken away by hand is missing again, though no definition has changed.
create or replace function mark_plans_stale() returns trigger language plpgsql as $$
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

create or replace trigger job_runs_deleted after delete on job_runs
  referencing old table as changed for each statement execute function mark_plans_stale();

create or replace trigger symbols_added after insert on symbols
  referencing new table as changed for each statement execute function mark_plans_stale();

create or replace trigger symbols_deleted after delete on symbols
  referencing old table as changed for each statement execute function mark_plans_stale();

create or replace trigger session_coverage_deleted after delete on session_coverage
  referencing old table as changed for each statement execute function mark_plans_stale();

create or replace trigger installation_first_date after insert or update on installation
  for each row when (new.name = 'first_date') execute function mark_plans_stale();

-- Cancels waiting slices that no enabled definition's window reaches any more, or whose symbol or
-- first day the installation no longer has. What somebody inserted without a definition stays.
create or replace function cancel_unwanted_slices(p_symbols text[]) returns void language sql as $$
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
create or replace function mirror_slices(p_symbols text[]) returns integer language plpgsql as $$
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
     and d.timeframe = any (stored_timeframes()) and d.timeframe <> r.timeframe
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

-- Cuts the missing sessions of symbols into slices, and those that are due again. A slice spans at most
-- one request's sessions, never one that is in another slice; slices are counted from the newest
-- missing session on. What failed once takes no session away. Of a delisted symbol nothing is due but
-- its question of the month.
create or replace function insert_slices(p_symbols text[], p_newest date)
returns integer language plpgsql as $$
declare
  today date := market_today();
  instant timestamptz := market_now();
  earliest date := first_fetched_day();
  width integer := sessions_a_request();
  added integer;
begin
  perform note_delisted_sessions(p_symbols, p_newest);
  with wanted as materialized (
    select w.symbol, s.id as symbol_id, greatest(today - w.window_days, earliest) as first_day,
      w.priority, row_number() over (order by w.since, w.symbol) as rank,
      exists (select from delisted_symbols d where d.symbol_id = s.id) as is_delisted
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
       and (coalesce(v.ask_again_at > instant, true)
         or (w.is_delisted and v.reason is distinct from 'delisted'))
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
     and d.timeframe = any (stored_timeframes()) and s.last_day >= today - d.window_days
   order by w.rank, s.last_day desc, d.timeframe
  on conflict do nothing;
  get diagnostics added = row_count;
  return added;
end
$$;

-- Those of some symbols whose definitions nobody is changing; they stay as they are until the caller's
-- transaction ends, so that a slice is planned by what holds when it stands.
create or replace function free_symbols(p_symbols text[]) returns text[] language sql volatile as $$
  with held as materialized (
    select d.id from job_definitions d where d.symbol = any(p_symbols)
     order by d.id for share skip locked
  )
  select coalesce(array_agg(s.symbol order by s.position), '{}')
    from unnest(p_symbols) with ordinality as s (symbol, position)
   where not exists (
     select from job_definitions d
      where d.symbol = s.symbol and not exists (select from held h where h.id = d.id))
$$;

-- What is due to be asked for again is planned, though nothing of it is missing: percent and state stay
-- as they are. Returns how many symbols that concerns. The doubts of a delisted symbol rest. A doubt of
-- days waits most of one for a request that takes it along: tomorrow's asks for the symbol anyway.
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
      where c.state = 'final' and c.ask_again_at <= instant - case
          when c.doubted_at < c.ask_again_at - interval '4 days' then interval '20 hours'
          else interval '0' end
        and (c.reason = 'delisted' or not exists (
          select from delisted_symbols d where d.symbol_id = c.symbol_id))
        and not exists (
          select from job_runs r
           where r.symbol = s.ticker and r.status in ('queued', 'running')
             and c.day between r.first_day and r.last_day));
  get diagnostics marked = row_count;
  return marked;
end
$$;

-- Plans the symbols whose definitions, calendar or ledger changed, the most wanted first and at most so
-- many (null: all), or one symbol. Symbols below a priority stay unplanned; those that somebody is about
-- to change are left for the next look, which his commit announces. Returns how many rows of job_runs
-- were added, and how many symbols were planned: fewer than asked for means that none is left.
create or replace function plan_due_symbols(
  p_symbol text, p_least_priority integer, p_most integer, out added integer, out planned integer
) language plpgsql as $$
declare
  newest date := (select max(day) from market_sessions where day < market_today());
  due text[] := '{}';
  looked_at text[] := '{}';
  next_due text[];
  free text[];
  mirrored integer;
begin
  added := 0;
  planned := 0;
  -- One symbol is waited for, and before anybody waits for this one.
  perform from job_definitions d where d.symbol = p_symbol order by d.id for share;
  -- One planner at a time: two would both find the same sessions missing.
  perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
  perform requeue_failed(p_symbol, false);
  loop
    select array_agg(d.symbol) into next_due
      from (
        select coalesce(w.symbol, p.symbol) as symbol
          from wanted_symbols w full join symbol_plans p using (symbol)
         where (p_symbol is null or coalesce(w.symbol, p.symbol) = p_symbol)
           and (w.symbol is null or w.priority >= p_least_priority)
           and (p.wanted is distinct from coalesce(w.wanted, '') or p.stale or p.last_day <> newest)
           and coalesce(w.symbol, p.symbol) <> all(looked_at)
         -- What nobody wants any more comes last: it only has slices to lose.
         order by w.priority desc nulls last, w.since, coalesce(w.symbol, p.symbol)
         limit p_most - cardinality(due)
      ) d;
    exit when next_due is null or newest is null;
    free := free_symbols(next_due);
    due := due || free;
    looked_at := looked_at || next_due;
    exit when cardinality(free) = cardinality(next_due) or cardinality(due) = p_most;
  end loop;
  if cardinality(due) = 0 then
    return;
  end if;
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
    added := insert_slices(due, newest) + mirrored;
    planned := cardinality(due);
  exception
    -- A definition came and went meanwhile: the next look plans without it.
    when foreign_key_violation then
      added := 0;
  end;
end
$$;

-- The same for whoever counts rows only.
create or replace function plan_job_runs(
  p_symbol text default null, p_least_priority integer default 0, p_most integer default null
) returns integer language sql as $$
  select added from plan_due_symbols(p_symbol, p_least_priority, p_most)
$$;

revoke all on function
  mark_plans_stale(), cancel_unwanted_slices(text[]), mirror_slices(text[]),
  insert_slices(text[],date), free_symbols(text[]), plan_doubted_sessions(),
  plan_due_symbols(text,integer,integer), plan_job_runs(text,integer,integer)
  from public, anon, authenticated, service_role;
