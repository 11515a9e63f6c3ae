-- A symbol that trades no more is not asked for every night: it has a state, with evidence, and is asked
-- about once a month until a bar ends it (market/delisted.py says when).

-- When the provider's list held it last: a later list without it is evidence.
alter table symbols add column listed_on date;

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
