-- Symbols that trade no more: declared, asked about, ended (market/delisted.py decides).

-- Settles past sessions of delisted symbols that nobody has asked for: those of the window that is wanted,
-- or from a day on. What was looked at while it traded, and had no bar, is over as well.
create or replace function note_delisted_sessions(p_symbols text[], p_newest date, p_first date default null)
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
create or replace function declare_delisted(
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
create or replace function ask_delisted(p_symbols text[], p_first date default null) returns void
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
create or replace function end_delisted(p_symbol_id uuid) returns void language plpgsql as $$
begin
  delete from session_coverage where symbol_id = p_symbol_id and reason = 'delisted';
  delete from delisted_symbols where symbol_id = p_symbol_id;
  perform pg_notify('swiftbolt_work', '');
end
$$;

-- Called in the transaction that stores an answer: a bar, or what may be one, ends the state; a question
-- that is answered without is not asked again for a month.
create or replace function delisted_answered(p_symbol_id uuid, p_last date, p_provider text) returns void
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

revoke all on function
  note_delisted_sessions(text[],date,date), declare_delisted(uuid,date,date,text,date),
  ask_delisted(text[],date), end_delisted(uuid), delisted_answered(uuid,date,text)
  from public, anon, authenticated, service_role;
