-- The ledger of sessions: its totals, who hears of a change, what is absent and why.

create or replace function add_session_totals() returns trigger language plpgsql as $$
begin
  -- In the order of the key: two statements that write many symbols cannot wait for each other.
  if tg_op = 'INSERT' then
    insert into session_totals as t (symbol_id, final, unsettled, provisional, bars)
    select symbol_id, count(*) filter (where state = 'final'),
      count(*) filter (where state = 'open'), count(*) filter (where state = 'provisional'),
      sum(bars)
      from added group by symbol_id order by symbol_id
    on conflict (symbol_id) do update set
      final = t.final + excluded.final, unsettled = t.unsettled + excluded.unsettled,
      provisional = t.provisional + excluded.provisional, bars = t.bars + excluded.bars;
  elsif tg_op = 'UPDATE' then
    -- A symbol that stays as it was is not touched.
    insert into session_totals as t (symbol_id, final, unsettled, provisional, bars)
    select symbol_id, coalesce(sum(n) filter (where state = 'final'), 0),
      coalesce(sum(n) filter (where state = 'open'), 0),
      coalesce(sum(n) filter (where state = 'provisional'), 0), sum(n * bars)
      from (
        select symbol_id, state, bars, 1 as n from added
        union all select symbol_id, state, bars, -1 from removed
      ) c
     group by symbol_id
    having coalesce(sum(n) filter (where state = 'final'), 0) <> 0
        or coalesce(sum(n) filter (where state = 'open'), 0) <> 0
        or coalesce(sum(n) filter (where state = 'provisional'), 0) <> 0
        or sum(n * bars) <> 0
     order by symbol_id
    on conflict (symbol_id) do update set
      final = t.final + excluded.final, unsettled = t.unsettled + excluded.unsettled,
      provisional = t.provisional + excluded.provisional, bars = t.bars + excluded.bars;
  elsif tg_op = 'DELETE' then
    -- No insert: with a symbol that is deleted its totals go as well, before or after this.
    perform from session_totals
      where symbol_id in (select symbol_id from removed) order by symbol_id for no key update;
    update session_totals t set
      final = t.final - c.final, unsettled = t.unsettled - c.unsettled,
      provisional = t.provisional - c.provisional, bars = t.bars - c.bars
      from (
        select symbol_id, count(*) filter (where state = 'final') as final,
          count(*) filter (where state = 'open') as unsettled,
          count(*) filter (where state = 'provisional') as provisional, sum(bars) as bars
          from removed group by symbol_id
      ) c
     where t.symbol_id = c.symbol_id;
  else
    delete from session_totals;
  end if;
  return null;
end
$$;

create or replace trigger session_coverage_totals_insert after insert on session_coverage
  referencing new table as added for each statement execute function add_session_totals();

create or replace trigger session_coverage_totals_update after update on session_coverage
  referencing old table as removed new table as added
  for each statement execute function add_session_totals();

create or replace trigger session_coverage_totals_delete after delete on session_coverage
  referencing old table as removed for each statement execute function add_session_totals();

create or replace trigger session_coverage_totals_truncate after truncate on session_coverage
  for each statement execute function add_session_totals();

-- Counts anew, for a ledger that was written without triggers; returns how many totals were wrong.
create or replace function recount_session_totals() returns integer language plpgsql as $$
declare
  mended integer;
begin
  lock table session_coverage in share row exclusive mode;
  insert into session_totals as t (symbol_id, final, unsettled, provisional, bars)
  select symbol_id, coalesce(c.final, 0), coalesce(c.unsettled, 0), coalesce(c.provisional, 0),
    coalesce(c.bars, 0)
    from (
      select symbol_id, count(*) filter (where state = 'final') as final,
        count(*) filter (where state = 'open') as unsettled,
        count(*) filter (where state = 'provisional') as provisional, sum(bars) as bars
        from session_coverage group by symbol_id
    ) c
    full join session_totals k using (symbol_id)
  on conflict (symbol_id) do update set
    final = excluded.final, unsettled = excluded.unsettled,
    provisional = excluded.provisional, bars = excluded.bars
    where (t.final, t.unsettled, t.provisional, t.bars)
      <> (excluded.final, excluded.unsettled, excluded.provisional, excluded.bars);
  get diagnostics mended = row_count;
  return mended;
end
$$;

-- Who watches a symbol hears of it: what changed in the ledger, and how far its slices are. The
-- payload names symbol and days; who hears it asks for the rest.
create or replace function announce_sessions() returns trigger language plpgsql as $$
begin
  perform pg_notify('swiftbolt_news', json_build_object(
      'symbol', s.ticker, 'from', min(m.opens), 'to', max(m.closes))::text)
    from changed c
    join symbols s on s.id = c.symbol_id
    join market_sessions m on m.day = c.day
   group by s.ticker;
  return null;
end
$$;

create or replace trigger session_coverage_added after insert on session_coverage
  referencing new table as changed for each statement execute function announce_sessions();

create or replace trigger session_coverage_changed after update on session_coverage
  referencing new table as changed for each statement execute function announce_sessions();

-- Why a session has no bar, what is at work, and splits: not a secret, but tables of the platform.
create or replace function get_session_gaps(p_symbol text, p_first date, p_last date)
returns table (day date, opens timestamptz, closes timestamptz, state text, reason text,
  bars integer, expected integer, absences jsonb, unconfirmed integer, ask_again_at timestamptz)
language sql stable security definer
set search_path = public, pg_temp as $$
  select m.day, m.opens, m.closes, coalesce(c.state, 'not_fetched'), c.reason, coalesce(c.bars, 0),
    coalesce(c.expected, (extract(epoch from m.closes - m.opens) / 900)::integer),
    coalesce(c.absences, '{}'), coalesce(c.unconfirmed, 0), c.ask_again_at
    from market_sessions m
    left join session_coverage c on c.day = m.day
     and c.symbol_id = (select id from symbols where ticker = canonical_symbol(p_symbol))
   where m.day between greatest(p_first, first_fetched_day()) and p_last
     and (c.day is null or c.state <> 'final' or c.bars < c.expected)
   order by m.day
$$;

revoke all on function
  add_session_totals(), recount_session_totals(), announce_sessions(),
  get_session_gaps(text,date,date)
  from public, anon, authenticated, service_role;
grant execute on function
  get_session_gaps(text,date,date)
  to authenticated, service_role;
