-- A symbol that trades no more is not asked for every night: it has a state, with evidence, and is asked
-- about once a month until a bar ends it (market/delisted.py says when).

-- When the provider's list held it last: a later list without it is evidence.
alter table symbols add column listed_on date;
update symbols s set listed_on = l.listed_on
  from ticker_list l where s.ticker in (select ticker from listed_tickers);

-- Dates are New York's, by the market clock.
create table delisted_symbols (
  symbol_id uuid primary key references symbols on delete cascade,
  -- The first session of its silence, and the last one with a bar (null: none is known).
  since date not null,
  last_bar_on date,
  evidence text not null,
  declared_on date not null,
  -- The last question that was answered, when one was begun, and when the next one is due.
  asked_on date not null,
  opened_on date,
  ask_on date not null
);
alter table delisted_symbols enable row level security;
create policy delisted_symbols_read on delisted_symbols for select using (true);
revoke all on delisted_symbols from public, anon, authenticated, service_role;
grant select on delisted_symbols to anon, authenticated, service_role;

-- Not asked for, or not found when it was: no word of anybody that nothing was traded.
alter table session_coverage
  drop constraint session_coverage_reason_check,
  add constraint session_coverage_reason_check check (reason in (
    'no_trade', 'halted', 'not_listed', 'delisted', 'plan_cut', 'rejected', 'unconfirmed',
    'provider_empty', 'provider_error', 'not_fetched'));

-- How far back a symbol is wanted, null where nobody wants it (as `wanted_symbols` has it).
create function wanted_window(p_symbol text) returns integer language sql stable as $$
  select max(window_days) from job_definitions
   where symbol = p_symbol and enabled and job_type <> 'run_forecast' and timeframe in ('m15', 'h1', 'h4')
$$;

-- Settles past sessions of delisted symbols that nobody has asked for: those of the window that is wanted,
-- or from a day on. What was looked at while it traded, and had no bar, is over as well.
create function note_delisted_sessions(p_symbols text[], p_newest date, p_first date default null)
returns void language sql as $$
  insert into session_coverage as c
    (symbol_id, day, state, reason, expected, bars, answers, provider, settled_at)
  select d.symbol_id, m.day, 'final', 'delisted',
    (extract(epoch from m.closes - m.opens) / 900)::integer, 0, 0, 'polygon', clock_timestamp()
    from (
      select d.symbol_id, greatest(
        d.since, coalesce(p_first, market_today() - wanted_window(s.ticker)), first_fetched_day()) as first
        from delisted_symbols d join symbols s on s.id = d.symbol_id
       where s.ticker = any(p_symbols) and coalesce(p_first, market_today() - wanted_window(s.ticker)) is not null
    ) d
    join market_sessions m on m.day between d.first and p_newest
   order by d.symbol_id, m.day
  on conflict (symbol_id, day) do update set
    state = 'final', reason = 'delisted', settled_at = excluded.settled_at,
    unconfirmed = 0, ask_again_at = null, doubted_at = null, checked_at = clock_timestamp()
    where c.state <> 'final' and c.bars = 0
$$;

-- Notes that a symbol trades no more; returns whether that is new. Not while it is being filled, nor when
-- a bar has come meanwhile. Its silence has one reason now, and what waited for it has ended.
create function declare_delisted(
  p_symbol_id uuid, p_since date, p_last_bar_on date, p_evidence text, p_ask_on date)
returns boolean language plpgsql as $$
declare
  today date := market_today();
  newest date := (select max(day) from market_sessions where day < market_today());
begin
  perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
  if not pg_try_advisory_xact_lock(hashtextextended('fill ' || p_symbol_id, 0)) or exists (
    select from session_coverage
     where symbol_id = p_symbol_id and day >= p_since and bars > 0) then
    return false;
  end if;
  insert into delisted_symbols
    (symbol_id, since, last_bar_on, evidence, declared_on, asked_on, ask_on)
  values (p_symbol_id, p_since, p_last_bar_on, p_evidence, today,
    -- The newest session that was asked for was asked for on the day after it at least.
    coalesce((select least(max(day) + 1, today) from session_coverage
      where symbol_id = p_symbol_id and day >= p_since and answers > 0), today),
    p_ask_on)
  on conflict do nothing;
  if not found then
    return false;
  end if;
  update session_coverage set
    state = 'final', reason = 'delisted', settled_at = coalesce(settled_at, clock_timestamp()),
    unconfirmed = 0, ask_again_at = null, doubted_at = null, checked_at = clock_timestamp()
   where symbol_id = p_symbol_id and day >= p_since and day < today
     and bars = 0 and reason not in ('plan_cut', 'rejected');
  perform note_delisted_sessions(
    array(select ticker from symbols where id = p_symbol_id), newest);
  perform settle_slices(p_symbol_id, p_since, newest, null);
  return true;
end
$$;

-- Has the sessions since the last question asked for, the newest one in any case; from a day on where
-- somebody asks by hand, else as many as one request carries. The planner takes them up.
create function ask_delisted(p_symbols text[], p_first date default null) returns void
language plpgsql as $$
declare
  instant timestamptz := market_now();
  today date := market_today();
  newest date := (select max(day) from market_sessions where day < market_today());
  recent date := (
    select min(day) from (
      select day from market_sessions where day <= newest order by day desc limit sessions_a_request()) n);
begin
  perform note_delisted_sessions(p_symbols, newest, p_first);
  update session_coverage c set ask_again_at = instant
    from (
      select id, coalesce(p_first, greatest(recent, today - wanted_window(ticker))) as first from symbols
       where ticker = any(p_symbols)
    ) s
   where c.symbol_id = s.id and c.reason = 'delisted'
     and c.day >= s.first and (c.answers = 0 or c.day = newest);
end
$$;

-- Ends the state: all that rested on it is missing again, and asked for at once.
create function end_delisted(p_symbol_id uuid) returns void language plpgsql as $$
begin
  delete from session_coverage where symbol_id = p_symbol_id and reason = 'delisted';
  delete from delisted_symbols where symbol_id = p_symbol_id;
  perform pg_notify('swiftbolt_work', '');
end
$$;

-- Called in the transaction that stores an answer: a bar, or what may be one, ends the state; a question
-- that is answered without is not asked again for a month.
create function delisted_answered(p_symbol_id uuid, p_last date, p_provider text) returns void
language plpgsql as $$
declare
  today date := market_today();
  first_silent date;
begin
  select since into first_silent from delisted_symbols where symbol_id = p_symbol_id for update;
  if not found then
    return;
  end if;
  if exists (
    select from session_coverage
     where symbol_id = p_symbol_id and day >= first_silent
       and (bars > 0 or (answers > 0 and reason not in ('delisted', 'plan_cut')))) then
    perform end_delisted(p_symbol_id);
  elsif p_provider = 'polygon'
    and p_last >= (select max(day) from market_sessions where day < today) then
    update delisted_symbols set asked_on = today, ask_on = today + 30
     where symbol_id = p_symbol_id;
  end if;
end
$$;
revoke all on function wanted_window(text), note_delisted_sessions(text[], date, date),
  declare_delisted(uuid, date, date, text, date), ask_delisted(text[], date), end_delisted(uuid),
  delisted_answered(uuid, date, text)
  from public, anon, authenticated, service_role;

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
     and d.timeframe in ('m15', 'h1', 'h4') and s.last_day >= today - d.window_days
   order by w.rank, s.last_day desc, d.timeframe
  on conflict do nothing;
  get diagnostics added = row_count;
  return added;
end
$$;
