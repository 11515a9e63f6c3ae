-- What was answered, what is settled, what was refused, what was proved.

-- One row a symbol and session: the ledger of completeness (market/coverage.py judges).
create table session_coverage (
  symbol_id uuid not null references symbols on delete cascade,
  day date not null,
  state text not null check (state in ('open', 'provisional', 'final')),
  reason text check (reason in (
    'no_trade', 'halted', 'not_listed', 'delisted', 'plan_cut', 'rejected', 'unconfirmed',
    'provider_empty', 'provider_error', 'not_fetched')),
  expected integer not null check (expected > 0),
  bars integer not null check (bars between 0 and expected),
  answers integer not null check (answers >= 0),
  absences jsonb not null default '{}',
  provider data_provider not null,
  request_id text,
  settled_at timestamptz,
  checked_at timestamptz not null default clock_timestamp(),
  -- A settled session that is to be asked for once more: its provider may have been late.
  ask_again_at timestamptz,
  -- Quarter hours in doubt, since when, and what another provider has of the session: start -> shares
  -- (null: it was not asked).
  unconfirmed integer not null default 0,
  doubted_at timestamptz,
  witness jsonb check (jsonb_typeof(witness) = 'object'),
  -- Bars that were hard to believe until they came twice: start -> rule.
  marks jsonb not null default '{}' check (jsonb_typeof(marks) = 'object'),
  -- Whether the live provider was asked about all of a session: then its bars are shown, though the
  -- final ones are still to be fetched.
  live_whole boolean not null default false,
  primary key (symbol_id, day),
  check ((bars = 0) = (reason is not null)),
  check ((state = 'final') = (settled_at is not null)),
  check (unconfirmed between 0 and expected)
);
create index session_coverage_again on session_coverage (ask_again_at) where ask_again_at is not null;
create index session_coverage_unconfirmed on session_coverage (symbol_id, day) where unconfirmed > 0;

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
alter table session_totals enable row level security;
revoke all on session_totals from public, anon, authenticated, service_role;
grant select on session_totals to service_role;

-- Delivered bars that broke a rule: kept for inspection, never stored as bars.
create table rejected_bars (
  id bigint generated always as identity primary key,
  symbol_id uuid not null references symbols on delete cascade,
  provider data_provider not null,
  ts timestamptz,
  rule text not null,
  value text,
  bar jsonb not null,
  request_id text,
  rejected_at timestamptz not null default clock_timestamp()
);
create index rejected_bars_symbol on rejected_bars (symbol_id, ts);
revoke all on session_coverage, rejected_bars from public, anon, authenticated, service_role;
grant select on session_coverage, rejected_bars to service_role;

-- Certificates of completeness: what was proved once, to be held against what is stored later.
create table certificates (
  id bigint generated always as identity primary key,
  symbol_id uuid not null references symbols on delete cascade,
  issued_at timestamptz not null,
  verified_at timestamptz not null default clock_timestamp(),
  first_day date not null,
  last_day date not null,
  content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
  document jsonb not null,
  check (first_day <= last_day)
);
create index certificates_symbol on certificates (symbol_id, id desc);
alter table certificates enable row level security;
revoke all on certificates from public, anon, authenticated, service_role;
grant select on certificates to service_role;
revoke all on sequence certificates_id_seq, rejected_bars_id_seq
  from public, anon, authenticated, service_role;
