-- Values that cannot be (swiftbolt_assets/market/validation.py tells why): a price from ten million
-- dollars on, a hundred billion shares or a billion trades in a quarter hour. Longer bars are sums.

-- Earlier versions stored such values. They become rejected bars, together with the bars of one and
-- of four hours that they went into, and their sessions are asked for again.
create temp table impossible_bars on commit drop as
select b.tableoid as part, b.ctid as place, b.symbol_id, b.provider, b.timeframe, b.ts,
  b.is_forecast, to_jsonb(b) as bar,
  case when greatest(b.open, b.high, b.low, b.close, b.vwap, b.upper_band, -b.lower_band) >= 1e7
    then 'price_impossible' else 'volume_impossible' end as rule
  from ohlc_bars_v2 b
 where greatest(b.open, b.high, b.low, b.close, b.vwap, b.upper_band, -b.lower_band) >= 1e7
    or greatest(b.volume / 1e11, b.trade_count / 1e9::float8)
      >= case b.timeframe when 'm15' then 1 when 'h1' then 4 when 'h4' then 16 else 130 end;
insert into impossible_bars
select distinct on (b.tableoid, b.ctid)
  b.tableoid, b.ctid, b.symbol_id, b.provider, b.timeframe, b.ts, false, to_jsonb(b), i.rule
  from impossible_bars i
  join ohlc_bars_v2 b on b.symbol_id = i.symbol_id and b.provider = i.provider
   and b.timeframe in ('h1', 'h4') and not b.is_forecast
   and b.ts <= i.ts
   and b.ts > i.ts - case b.timeframe when 'h1' then interval '1 hour' else interval '4 hours' end
 where i.timeframe = 'm15' and not i.is_forecast
   and not exists (select from impossible_bars k where (k.part, k.place) = (b.tableoid, b.ctid));
insert into rejected_bars (symbol_id, provider, ts, rule, value, bar)
select symbol_id, provider, ts, rule,
  case rule
    when 'price_impossible' then concat(
      format('timeframe=%s, open=%s, high=%s, low=%s, close=%s, vwap=%s', timeframe, bar ->> 'open',
        bar ->> 'high', bar ->> 'low', bar ->> 'close', bar ->> 'vwap'),
      ', bands=' || (bar ->> 'lower_band') || ' to ' || (bar ->> 'upper_band'))
    else format('timeframe=%s, volume=%s, trade_count=%s', timeframe, bar ->> 'volume',
      bar ->> 'trade_count')
  end,
  bar
  from impossible_bars order by ts, timeframe;
delete from session_coverage c using impossible_bars i
 where c.symbol_id = i.symbol_id and not i.is_forecast
   and c.day = (i.ts at time zone 'America/New_York')::date;
delete from ohlc_bars_v2 b using impossible_bars i where (b.tableoid, b.ctid) = (i.part, i.place);
alter table ohlc_bars_v2 add constraint bar_possible check (
  greatest(open, high, low, close, vwap, upper_band, -lower_band) < 1e7
  -- Null where there is neither: a check passes it.
  and greatest(volume / 1e11, trade_count / 1e9::float8)
    < case timeframe when 'm15' then 1 when 'h1' then 4 when 'h4' then 16 else 130 end
);
