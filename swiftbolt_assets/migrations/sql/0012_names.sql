-- The list of tickers and company names, beside the symbols: what is only listed is wanted by nobody.

-- What the provider lists as trading, by ticker; replaced as a whole (resources/listed.py).
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
insert into ticker_list default values;
alter table arriving_tickers enable row level security;
alter table ticker_list enable row level security;
revoke all on arriving_tickers, ticker_list from public, anon, authenticated, service_role;

-- A symbol's id follows from its ticker, so that a ticker that search offers has the id that it
-- keeps when somebody opens it: UUID version 8 (RFC 9562) of a SHA-256. Older symbols keep theirs.
create function symbol_id(p_ticker text) returns uuid language sql immutable strict parallel safe as $$
  select encode(
    set_byte(set_byte(h, 6, (get_byte(h, 6) & 15) | 128), 8, (get_byte(h, 8) & 63) | 128), 'hex')::uuid
    from substr(sha256(decode('swiftbolt:symbol:' || p_ticker, 'escape')), 1, 16) as h
$$;
revoke all on function symbol_id(text) from public, anon, authenticated, service_role;
grant execute on function symbol_id(text) to anon, authenticated, service_role;

-- A new symbol has its id from its ticker, and its name from the list.
create function complete_symbol() returns trigger language plpgsql as $$
begin
  new.id := coalesce(new.id, symbol_id(new.ticker));
  new.description := coalesce(
    new.description, (select nullif(name, '') from listed_tickers where ticker = new.ticker));
  return new;
end
$$;
revoke all on function complete_symbol() from public, anon, authenticated, service_role;
alter table symbols alter column id drop default;
create trigger symbols_complete before insert on symbols
  for each row execute function complete_symbol();
