update symbols s set listed_on = l.listed_on
  from ticker_list l where s.ticker in (select ticker from listed_tickers);
