-- Share splits as they are listed, and what the prices say of each.

-- Stored bars stay raw and are folded with these when they are read.
--
-- A listed event is its day, kind and ratio: the provider's ids and factors change between pulls.
-- It may be listed a second time, on a wrong day, or without ever having happened, so what counts is
-- what the prices show (market/listed_splits.py judges, whoever changes bars or splits stores it).
-- `shown_on` is the day on which they show it, where that is known; `seen_ratio` the close before
-- divided by the open after, of that night or of the one where it was to be seen.
create table splits (
  symbol_id uuid not null references symbols on delete cascade,
  execution_date date not null,
  split_from double precision not null check (split_from > 0 and split_from < 'Infinity'),
  split_to double precision not null check (split_to > 0 and split_to < 'Infinity'),
  provider data_provider not null default 'polygon',
  provider_id text,
  seen_at timestamptz not null default clock_timestamp(),
  adjustment_type text not null default 'split'
    check (adjustment_type in ('split', 'forward_split', 'reverse_split', 'stock_dividend')),
  ratio double precision not null generated always as (split_to / split_from) stored,
  historical_adjustment_factor double precision,
  state text not null default 'listed'
    check (state in ('listed', 'shown', 'moved', 'repeated', 'doubtful')),
  shown_on date,
  seen_ratio double precision,
  judged_at timestamptz,
  effective_date date generated always as (
    case when state not in ('repeated', 'doubtful') then coalesce(shown_on, execution_date) end
  ) stored,
  primary key (symbol_id, execution_date, adjustment_type, ratio),
  check ((shown_on is not null) = (state in ('shown', 'moved')))
);
alter table splits enable row level security;
create policy splits_read on splits for select using (true);
revoke all on splits from public, anon, authenticated, service_role;
grant select on splits to anon, authenticated, service_role;

-- When splits were asked for: `*` stands for all symbols, once a New York date; each symbol has one
-- look-up of its own, after its first bars. `answered_on` is the market clock's date, the instants
-- are real time.
create table split_lookups (
  symbol text primary key,
  created_at timestamptz not null default clock_timestamp(),
  answered_on date,
  answered_at timestamptz,
  request_id text,
  failures integer not null default 0 check (failures >= 0),
  error text,
  retry_at timestamptz,
  -- A symbol whose prices and splits do not fit is asked about again by itself, with growing pauses
  -- on the market's clock; null when they fit.
  ask_again_at timestamptz,
  doubts integer not null default 0 check (doubts >= 0),
  check ((answered_on is null) = (answered_at is null)),
  check ((failures = 0) = (error is null))
);
alter table split_lookups enable row level security;
revoke all on split_lookups from public, anon, authenticated, service_role;
grant select on split_lookups to service_role;
