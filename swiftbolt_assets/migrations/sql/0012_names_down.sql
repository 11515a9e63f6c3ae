drop trigger symbols_complete on symbols;
alter table symbols alter column id set default gen_random_uuid();
drop function complete_symbol(), symbol_id(text);
drop index symbols_ticker_search, symbols_name_search, symbols_words_search;
drop table ticker_list, arriving_tickers, listed_tickers;
