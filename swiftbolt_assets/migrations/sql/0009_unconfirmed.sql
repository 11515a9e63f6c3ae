-- An absence that is unlikely for its symbol is `unconfirmed` until evidence comes that does not rest
-- on the same answer. That is final for whoever waits, and is asked for again: on the market clock.

alter table session_coverage
  drop constraint session_coverage_reason_check,
  add constraint session_coverage_reason_check check (reason in (
    'no_trade', 'halted', 'not_listed', 'plan_cut', 'rejected', 'unconfirmed',
    'provider_empty', 'provider_error', 'not_fetched')),
  -- Quarter hours in doubt, since when, and at which of those without a bar another provider has one
  -- (null: it was not asked).
  add column unconfirmed integer not null default 0 check (unconfirmed between 0 and expected),
  add column doubted_at timestamptz,
  add column witness jsonb check (jsonb_typeof(witness) = 'array'),
  -- Bars that were hard to believe until they came twice: start -> rule.
  add column marks jsonb not null default '{}' check (jsonb_typeof(marks) = 'object');
create index session_coverage_unconfirmed on session_coverage (symbol_id, day) where unconfirmed > 0;

-- What was said with one witness: that nothing was traded where many trades were usual, and that the
-- provider has nothing. It is in doubt now.
update session_coverage c set
  reason = case when reason in ('halted', 'provider_empty') then 'unconfirmed' else reason end,
  absences = a.absences,
  unconfirmed = case when c.bars = 0 then c.expected else a.doubted end,
  doubted_at = clock_timestamp(),
  checked_at = clock_timestamp(),
  ask_again_at = clock_timestamp() + interval '4 hours'
  from (
    select s.symbol_id, s.day,
      coalesce(jsonb_object_agg(
        e.key, case when e.value = 'halted' then 'unconfirmed' else e.value end)
        filter (where e.key is not null), '{}') as absences,
      count(*) filter (where e.value = 'halted') as doubted
      from session_coverage s left join jsonb_each_text(s.absences) e on true
     where s.state = 'final'
       and (s.reason in ('halted', 'provider_empty') or s.absences::text like '%"halted"%')
     group by s.symbol_id, s.day
  ) a
 where c.symbol_id = a.symbol_id and c.day = a.day;

-- What is due to be asked for again is planned, though nothing of it is missing: percent and state stay
-- as they are. Returns how many symbols that concerns.
drop function reopen_late_sessions();
create function plan_doubted_sessions() returns integer language plpgsql as $$
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
revoke all on function plan_doubted_sessions() from public, anon, authenticated, service_role;

-- Called in the transaction that stores bars: slices whose sessions are all settled have succeeded,
-- and so have those whose sessions the calendar has no more. One that is due again is not settled.
create or replace function settle_slices(
  p_symbol_id uuid, p_first date, p_last date, p_provider text)
returns void language plpgsql as $$
declare
  earliest date := first_fetched_day();
  instant timestamptz := market_now();
  ended integer;
begin
  with touched as materialized (
    select r.id, r.slice_from, r.slice_to, r.timeframe, n.sessions, n.settled
      from symbols y
      join job_runs r on r.symbol = y.ticker and r.status in ('queued', 'running', 'failed')
       and r.first_day <= p_last and r.last_day >= p_first
      cross join lateral (
        select count(*) as sessions,
          count(*) filter (where c.state = 'final' and coalesce(c.ask_again_at > instant, true))
            as settled
          from market_sessions m
          left join session_coverage c on c.symbol_id = y.id and c.day = m.day
         where m.day between greatest(r.first_day, earliest) and r.last_day) n
     where y.id = p_symbol_id
     order by r.id for update of r
  ), changed as (
    update job_runs r set
      status = case when t.settled = t.sessions then 'success' else r.status end,
      finished_at = case when t.settled = t.sessions then clock_timestamp() else r.finished_at end,
      started_at = coalesce(r.started_at, clock_timestamp()),
      next_attempt_at = case when t.settled = t.sessions then null else r.next_attempt_at end,
      next_attempt_market_at = case
        when t.settled = t.sessions then null else r.next_attempt_market_at end,
      error_code = case when t.settled = t.sessions then null else r.error_code end,
      error_message = case when t.settled = t.sessions then null else r.error_message end,
      progress_percent = case when t.sessions = 0 then 100
        else floor(100.0 * t.settled / t.sessions) end,
      provider = coalesce(p_provider, r.provider),
      rows_written = (
        select count(*) from ohlc_bars_v2 b
         where b.symbol_id = p_symbol_id and b.timeframe = t.timeframe and not b.is_forecast
           and b.ts >= t.slice_from and b.ts < t.slice_to)
      from touched t where r.id = t.id and (t.settled > 0 or t.sessions = 0)
    returning r.status
  )
  select count(*) filter (where status = 'success') into ended from changed;
  if ended > 0 then
    perform pg_notify('swiftbolt_work', '');
  end if;
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

-- Why a session has no bar, how much of it is in doubt, and when it is asked for again.
drop function get_session_gaps(text, date, date);
create function get_session_gaps(p_symbol text, p_first date, p_last date)
returns table (day date, opens timestamptz, closes timestamptz, state text, reason text,
  bars integer, expected integer, absences jsonb, unconfirmed integer, ask_again_at timestamptz)
language sql stable security definer as $$
  select m.day, m.opens, m.closes, coalesce(c.state, 'not_fetched'), c.reason, coalesce(c.bars, 0),
    coalesce(c.expected, (extract(epoch from m.closes - m.opens) / 900)::integer),
    coalesce(c.absences, '{}'), coalesce(c.unconfirmed, 0), c.ask_again_at
    from market_sessions m
    left join session_coverage c on c.day = m.day
     and c.symbol_id = (select id from symbols where ticker = upper(btrim(p_symbol)))
   where m.day between greatest(p_first, first_fetched_day()) and p_last
     and (c.day is null or c.state <> 'final' or c.bars < c.expected)
   order by m.day
$$;
do $$
begin
  -- pg_temp last: a caller's temporary table must not pass for one of ours.
  execute format(
    'alter function get_session_gaps(text, date, date) set search_path = %I, pg_temp',
    current_schema());
end
$$;
revoke all on function get_session_gaps(text, date, date)
  from public, anon, authenticated, service_role;
grant execute on function get_session_gaps(text, date, date) to authenticated, service_role;

-- Compares Tradier's rows of settled sessions with Polygon's, keeps what differs, and deletes them; in
-- the transaction that stored Polygon's, so that there is no moment without bars. Quarter hours whose
-- absence nobody has confirmed keep theirs, and so do the hours above them.
drop function replace_live_bars(uuid, date[], timestamptz, timestamptz);
create function replace_live_bars(
  p_symbol uuid, p_days date[], p_opens timestamptz, p_closes timestamptz, p_kept timestamptz[])
returns table (day date, live_bars integer, history_bars integer, differing integer,
  max_price_difference double precision, max_volume_difference double precision)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
    with sides as (
      select s.day, b.ts, b.provider, b.open, b.high, b.low, b.close, b.volume
        from market_sessions s
        join ohlc_bars_v2 b on b.symbol_id = p_symbol and b.timeframe = 'm15' and not b.is_forecast
         and b.ts >= p_opens and b.ts < p_closes and b.ts >= s.opens and b.ts < s.closes
       where s.day = any(p_days) and b.provider in ('polygon', 'tradier')
         and b.ts <> all(p_kept)
    ), pairs as (
      select coalesce(l.day, h.day) as day, l.ts is not null as is_live, h.ts is not null as is_history,
        greatest(abs(l.open - h.open), abs(l.high - h.high), abs(l.low - h.low),
          abs(l.close - h.close)) as price_difference,
        abs(l.volume - h.volume) as volume_difference
        from (select * from sides where provider = 'tradier') l
        full join (select * from sides where provider = 'polygon') h on h.ts = l.ts
       -- The second time, of what had been kept alone.
       where l.ts is not null or not exists (
         select from finalizations f where f.symbol_id = p_symbol and f.day = h.day)
    ), compared as (
      select day, (count(*) filter (where is_live))::integer as live_bars,
        (count(*) filter (where is_history))::integer as history_bars,
        (count(*) filter (where not (is_live and is_history)
          or price_difference > 0 or volume_difference > 0))::integer as differing,
        coalesce(max(price_difference), 0) as max_price_difference,
        coalesce(max(volume_difference), 0) as max_volume_difference
        from pairs group by day having bool_or(is_live)
    )
    insert into finalizations as f (symbol_id, day, live_bars, history_bars, differing,
      max_price_difference, max_volume_difference)
    select p_symbol, day, live_bars, history_bars, differing, max_price_difference,
      max_volume_difference from compared
    on conflict (symbol_id, day) do update set
      live_bars = f.live_bars + excluded.live_bars,
      history_bars = f.history_bars + excluded.history_bars,
      differing = f.differing + excluded.differing,
      max_price_difference = greatest(f.max_price_difference, excluded.max_price_difference),
      max_volume_difference = greatest(f.max_volume_difference, excluded.max_volume_difference),
      finalized_at = clock_timestamp()
    returning f.day, f.live_bars, f.history_bars, f.differing, f.max_price_difference,
      f.max_volume_difference;
  delete from ohlc_bars_v2 b using market_sessions s
   where s.day = any(p_days) and b.ts >= p_opens and b.ts < p_closes
     and b.ts >= s.opens and b.ts < s.closes and b.symbol_id = p_symbol and b.provider = 'tradier'
     and not exists (
       select from unnest(p_kept) k (ts)
        where b.ts <= k.ts and k.ts < b.ts + case b.timeframe
          when 'h4' then interval '4 hours' when 'h1' then interval '1 hour'
          else interval '15 minutes' end);
end
$$;
revoke all on function
  replace_live_bars(uuid, date[], timestamptz, timestamptz, timestamptz[])
  from public, anon, authenticated, service_role;
