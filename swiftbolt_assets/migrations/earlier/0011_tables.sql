-- Listed splits, and what the prices say of each; folded prices without a binary tail.

-- A listed event is its day, kind and ratio: the provider's ids and factors change between pulls.
-- It may be listed a second time, on a wrong day, or without ever having happened, so what counts is
-- what the prices show (market/listed_splits.py judges, whoever changes bars or splits stores it).
-- `shown_on` is the day on which they show it, where that is known; `seen_ratio` the close before
-- divided by the open after, of that night or of the one where it was to be seen.
alter table splits drop constraint splits_pkey;
alter table splits
  add column adjustment_type text not null default 'split'
    check (adjustment_type in ('split', 'forward_split', 'reverse_split', 'stock_dividend')),
  add column ratio double precision not null generated always as (split_to / split_from) stored,
  add column historical_adjustment_factor double precision,
  add column state text not null default 'listed'
    check (state in ('listed', 'shown', 'moved', 'repeated', 'doubtful')),
  add column shown_on date,
  add column seen_ratio double precision,
  add column judged_at timestamptz,
  add column effective_date date generated always as (
    case when state not in ('repeated', 'doubtful') then coalesce(shown_on, execution_date) end
  ) stored,
  add check ((shown_on is not null) = (state in ('shown', 'moved')));

-- A symbol whose prices and splits do not fit is asked about again by itself, with growing pauses
-- on the market's clock; null when they fit.
alter table split_lookups
  add column ask_again_at timestamptz,
  add column doubts integer not null default 0 check (doubts >= 0);
