alter table symbols drop constraint symbols_ticker_check,
  add constraint symbols_ticker_check
    check (ticker ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$');
alter table job_definitions drop constraint job_definitions_symbol_check,
  add constraint job_definitions_symbol_check
    check (symbol ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$');

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
create index listed_tickers_words on listed_tickers using gin (to_tsvector('simple'::regconfig, name));
alter table listed_tickers enable row level security;
create policy listed_tickers_read on listed_tickers for select using (true);
revoke all on listed_tickers from public, anon, authenticated, service_role;
grant select on listed_tickers to anon, authenticated, service_role;
create index symbols_ticker_search on symbols (upper(ticker) text_pattern_ops);
create index symbols_name_search on symbols (upper(description) text_pattern_ops);
create index symbols_words_search on symbols using gin (to_tsvector('simple'::regconfig, description));

-- The next list as far as its pages have come, and how far that is: one row. Dates are the market
-- clock's. `cursor` is the provider's place in its list, never a link.
create table arriving_tickers (
  ticker text primary key,
  name text not null
);
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
alter table arriving_tickers enable row level security;
alter table ticker_list enable row level security;
revoke all on arriving_tickers, ticker_list from public, anon, authenticated, service_role;
alter table symbols alter column id drop default;
