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
drop function if exists reopen_late_sessions();
drop function if exists get_session_gaps(text, date, date);
drop function if exists replace_live_bars(uuid, date[], timestamptz, timestamptz);
