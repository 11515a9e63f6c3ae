-- Each symbol's sessions in the ledger by state: what `status` and the reports would else count
-- through five million rows of ten thousand symbols. First and last day are not here, since the
-- ledger's key finds them.

-- A symbol without a row has none. Rows are added to and subtracted from by the statement that writes
-- the ledger, in its transaction, so that what is seen of both is of one moment. Writers of one symbol
-- wait for each other, which the lock of its turn has them do before; those of two never do.
create table session_totals (
  symbol_id uuid primary key references symbols on delete cascade,
  final bigint not null,
  unsettled bigint not null,
  provisional bigint not null,
  bars bigint not null
);

create function add_session_totals() returns trigger language plpgsql as $$
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
create trigger session_coverage_totals_insert after insert on session_coverage
  referencing new table as added for each statement execute function add_session_totals();
create trigger session_coverage_totals_update after update on session_coverage
  referencing old table as removed new table as added
  for each statement execute function add_session_totals();
create trigger session_coverage_totals_delete after delete on session_coverage
  referencing old table as removed for each statement execute function add_session_totals();
create trigger session_coverage_totals_truncate after truncate on session_coverage
  for each statement execute function add_session_totals();

-- Counts anew, for a ledger that was written without triggers; returns how many totals were wrong.
create function recount_session_totals() returns integer language plpgsql as $$
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
select recount_session_totals();

alter table session_totals enable row level security;
revoke all on session_totals from public, anon, authenticated, service_role;
grant select on session_totals to service_role;
revoke all on function add_session_totals(), recount_session_totals()
  from public, anon, authenticated, service_role;
