-- The symbols, the list of what trades, and what trades no more.

create table symbols (
  id uuid primary key,
  ticker text not null unique
    check (ticker ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$'),
  asset_type asset_type not null default 'stock',
  description text,
  primary_source data_provider not null default 'polygon',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- When the provider's list held it last: a later list without it is evidence.
  listed_on date
);
create index symbols_asset_type on symbols (asset_type);
alter table symbols enable row level security;
create policy symbols_read on symbols for select using (true);

-- Supabase grants everything on new tables by default, TRUNCATE included, which no policy holds.
revoke all on symbols from public, anon, authenticated, service_role;
grant select on symbols to anon, authenticated, service_role;
create index symbols_ticker_search on symbols (upper(ticker) text_pattern_ops);
create index symbols_name_search on symbols (upper(description) text_pattern_ops);
create index symbols_words_search on symbols using gin (to_tsvector('simple'::regconfig, description))
  with (fastupdate = off);

-- The list of tickers and company names, beside the symbols: what is only listed is wanted by nobody.

-- What the provider lists as trading, by ticker; replaced as a whole (resources/bars/listed_tickers.py).
create table listed_tickers (
  ticker text primary key
    check (ticker ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$'),
  name text not null
);

-- Search is blind to case: what is typed finds every spelling, and each is shown as it is.
create index listed_tickers_ticker on listed_tickers (upper(ticker) text_pattern_ops);
create index listed_tickers_name on listed_tickers (upper(name) text_pattern_ops);
create index listed_tickers_words on listed_tickers using gin (to_tsvector('simple'::regconfig, name))
  with (fastupdate = off);
alter table listed_tickers enable row level security;
create policy listed_tickers_read on listed_tickers for select using (true);
revoke all on listed_tickers from public, anon, authenticated, service_role;
grant select on listed_tickers to anon, authenticated, service_role;

-- The next list as far as its pages have come, and how far that is: one row. Dates are the market
-- clock's. `cursor` is the provider's place in its list, never a link.
create table arriving_tickers (
  ticker text primary key,
  name text not null
);
alter table arriving_tickers enable row level security;

create table ticker_list (
  is_one boolean primary key default true check (is_one),
  created_at timestamptz not null default clock_timestamp(),
  listed_on date,
  began_at timestamptz,
  pages integer not null default 0,
  cursor text,
  failures integer not null default 0,
  error text,
  retry_at timestamptz,
  check ((cursor is null) = (pages = 0))
);
alter table ticker_list enable row level security;
revoke all on arriving_tickers, ticker_list from public, anon, authenticated, service_role;

-- A symbol that trades no more is not asked for every night, but about once a month until a bar ends
-- its state (market/delisted.py says when). Dates are New York's, by the market clock.
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
