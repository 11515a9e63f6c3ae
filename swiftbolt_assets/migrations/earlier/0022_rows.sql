update session_coverage c set
  reason = case when reason = 'halted' then 'unconfirmed' else reason end,
  absences = n.absences,
  unconfirmed = case
    when bars > 0 then (select count(*) from jsonb_each_text(n.absences) where value = 'unconfirmed')
    else expected end,
  doubted_at = coalesce(doubted_at, market_now()), ask_again_at = market_now(),
  checked_at = clock_timestamp()
  from (
    select h.symbol_id, h.day, coalesce((
        select jsonb_object_agg(key, case value when 'halted' then 'unconfirmed' else value end)
          from jsonb_each_text(h.absences)), '{}') as absences
      from session_coverage h where h.witness is not null) n
 where (c.symbol_id, c.day) = (n.symbol_id, n.day) and c.state = 'final'
   and (c.reason = 'halted' or c.absences <> n.absences);

-- A refusal had ended these doubts; no answer had.
update session_coverage set ask_again_at = market_now(), checked_at = clock_timestamp()
 where state = 'final' and unconfirmed > 0 and ask_again_at is null and witness is null;
update session_coverage set witness = null where witness is not null;
alter table session_coverage add constraint session_coverage_witness_check
  check (jsonb_typeof(witness) = 'object');

-- Splits were folded by whatever ratio was listed, if the night was only half as large.
update splits set judged_at = null where state in ('shown', 'moved');

-- A bar that nobody traded has no price that moves. Earlier versions stored some: they are rejected,
-- with the bars of one and of four hours that they went into, and their sessions are asked for again.
create temp table untraded_bars on commit drop as
select b.tableoid as part, b.ctid as place, b.symbol_id, b.provider, b.timeframe, b.ts,
  to_jsonb(b) as bar
  from ohlc_bars_v2 b where b.volume = 0 and b.trade_count = 0 and b.high > b.low;
insert into untraded_bars
select distinct on (b.tableoid, b.ctid)
  b.tableoid, b.ctid, b.symbol_id, b.provider, b.timeframe, b.ts, to_jsonb(b)
  from untraded_bars u
  join ohlc_bars_v2 b on b.symbol_id = u.symbol_id and b.provider = u.provider
   and b.timeframe in ('h1', 'h4') and not b.is_forecast
   and b.ts <= u.ts
   and b.ts > u.ts - case b.timeframe when 'h1' then interval '1 hour' else interval '4 hours' end
 where u.timeframe = 'm15'
   and not exists (select from untraded_bars k where (k.part, k.place) = (b.tableoid, b.ctid));
insert into rejected_bars (symbol_id, provider, ts, rule, value, bar)
select symbol_id, provider, ts, 'without_trades',
  format('timeframe=%s, volume=%s, trade_count=%s, high=%s, low=%s',
    timeframe, bar ->> 'volume', bar ->> 'trade_count', bar ->> 'high', bar ->> 'low'), bar
  from untraded_bars order by ts, timeframe;
delete from session_coverage c using untraded_bars u
 where c.symbol_id = u.symbol_id and c.day = (u.ts at time zone 'America/New_York')::date;
delete from ohlc_bars_v2 b using untraded_bars u where (b.tableoid, b.ctid) = (u.part, u.place);
alter table ohlc_bars_v2 add constraint bar_traded check (
  not (volume = 0 and trade_count = 0 and high > low));
