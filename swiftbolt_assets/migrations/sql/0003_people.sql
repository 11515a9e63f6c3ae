-- What a person may cause through the API, as functions with the owner's rights: each does one thing,
-- only ever raises, and is bounded. Everything else a person does is held by row-level security.

-- The caller becomes a row of auth.users where these are ours; a foreign one knows its users.
create function admit_caller() returns uuid language plpgsql security definer as $$
declare
  caller uuid := auth.uid();
begin
  if caller is null or exists (select from auth.users where id = caller) then
    return caller;
  end if;
  begin
    insert into auth.users (id) values (caller) on conflict do nothing;
  exception
    when insufficient_privilege or not_null_violation then
      raise exception using
        errcode = 'invalid_authorization_specification',
        message = format('user %s is unknown to auth.users', caller);
  end;
  return caller;
end
$$;

-- Adds well-formed tickers that are missing; whether they exist is settled by the providers.
create function admit_symbols(p_symbols text[]) returns void
language plpgsql security definer as $$
begin
  if cardinality(p_symbols) > 200 then
    raise exception using
      errcode = 'invalid_parameter_value', message = 'symbols: at most 200 at once';
  end if;
  insert into symbols (ticker)
  select t from unnest(p_symbols) as t
   where not exists (select from symbols s where s.ticker = t)
   order by 1
  on conflict (ticker) do nothing;
end
$$;

-- Sees to it that a timeframe of a symbol is wanted so far back, and that it is planned, in this
-- transaction: the first answer knows all slices. Window and priority are only ever raised; a
-- pinned definition stays as it is. d1 and w1 are made of 15-minute bars: theirs is m15's.
create function ensure_job(
  p_symbol text, p_timeframe text, p_window_days integer, p_priority integer)
returns uuid language plpgsql security definer as $$
declare
  wanted timeframe := parse_timeframe(p_timeframe);
  ticker text := upper(btrim(p_symbol));
  days integer := least(greatest(p_window_days, 1), 36500);
  -- No caller gets before what people look at: a watchlist's is the highest.
  urgency integer := least(greatest(p_priority, 0), (select max(priority) from interest_priorities));
  definition uuid;
begin
  if wanted in ('d1', 'w1') then
    wanted := 'm15';
  end if;
  perform admit_symbols(array[ticker]);
  select d.id into definition from job_definitions d
   where d.symbol = ticker and d.timeframe = wanted and d.job_type = 'fetch_intraday'
     and (d.pinned or (d.enabled and d.window_days >= days and d.priority >= urgency));
  if definition is null then
    insert into job_definitions as d (job_type, symbol, timeframe, window_days, priority, enabled)
    values ('fetch_intraday', ticker, wanted, days, urgency, true)
    on conflict (symbol, timeframe, job_type) do update set
      enabled = d.enabled or not d.pinned,
      priority = case when d.pinned then d.priority else greatest(d.priority, excluded.priority) end,
      window_days = case
        when d.pinned then d.window_days else greatest(d.window_days, excluded.window_days) end
    returning d.id into definition;
  end if;
  -- Polls come often: what is planned already costs one look.
  if not exists (
    select from wanted_symbols w join symbol_plans p using (symbol)
     where w.symbol = ticker and p.wanted = w.wanted and not p.stale
       and p.last_day = (select max(day) from market_sessions where day < market_today())
  ) then
    perform plan_job_runs(ticker, 0);
  end if;
  return definition;
end
$$;

-- Fifty symbols a user over all watchlists.
create function limit_watchlist_items() returns trigger language plpgsql security definer as $$
declare
  holder uuid;
begin
  -- Two additions at once would both find room.
  select user_id into holder from watchlists where id = new.watchlist_id;
  perform pg_advisory_xact_lock(hashtextextended('watchlist ' || holder, 0));
  if (select count(*) from watchlist_items i join watchlists w on w.id = i.watchlist_id
       where w.user_id = holder) >= 50 then
    raise exception using
      errcode = 'check_violation',
      message = 'watchlist: it holds 50 symbols, the most there may be; remove one first';
  end if;
  return new;
end
$$;
create trigger watchlist_items_limit before insert on watchlist_items
  for each row execute function limit_watchlist_items();

-- Why a session has no bar, what is at work, and splits: not a secret, but tables of the platform.
create function get_session_gaps(p_symbol text, p_first date, p_last date)
returns table (day date, opens timestamptz, closes timestamptz, state text, reason text,
  bars integer, expected integer, absences jsonb)
language sql stable security definer as $$
  select m.day, m.opens, m.closes, coalesce(c.state, 'not_fetched'), c.reason, coalesce(c.bars, 0),
    coalesce(c.expected, (extract(epoch from m.closes - m.opens) / 900)::integer),
    coalesce(c.absences, '{}')
    from market_sessions m
    left join session_coverage c on c.day = m.day
     and c.symbol_id = (select id from symbols where ticker = upper(btrim(p_symbol)))
   where m.day between greatest(p_first, first_fetched_day()) and p_last
     and (c.day is null or c.state <> 'final' or c.bars < c.expected)
   order by m.day
$$;

do $$
declare
  f text;
begin
  foreach f in array array[
    'admit_caller()', 'admit_symbols(text[])', 'ensure_job(text, text, integer, integer)',
    'limit_watchlist_items()', 'get_session_gaps(text, date, date)'
  ] loop
    -- pg_temp last: a caller's temporary table must not pass for one of ours.
    execute format('alter function %s set search_path = %I, pg_temp', f, current_schema());
    execute format('revoke all on function %s from public, anon, authenticated, service_role', f);
  end loop;
end
$$;
grant execute on function admit_caller(), admit_symbols(text[]),
  ensure_job(text, text, integer, integer), get_session_gaps(text, date, date)
  to authenticated, service_role;
