-- The bars, and what becomes of those of a running day.

-- The bars, and the rules that every writer is held to.

-- float8 knows NaN (greater than all numbers) and infinities; `< 'Infinity'` refuses them all.
create table ohlc_bars_v2 (
  symbol_id uuid not null,
  timeframe timeframe not null,
  ts timestamptz not null,
  provider data_provider not null,
  is_forecast boolean not null default false,
  is_intraday boolean not null default false,
  open double precision,
  high double precision,
  low double precision,
  close double precision not null,
  volume double precision,
  vwap double precision,
  trade_count bigint,
  data_status text check (data_status in ('verified', 'live', 'provisional')),
  confidence_score double precision check (confidence_score between 0 and 1),
  upper_band double precision,
  lower_band double precision,
  fetched_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (symbol_id, timeframe, ts, provider, is_forecast),
  constraint bar_prices check (
    close > 0 and close < 'Infinity'
    and (open is null or (open > 0 and open < 'Infinity'))
    and (high is null or (high >= close and high >= coalesce(open, high) and high < 'Infinity'))
    and (low is null or (low > 0 and low <= close and low <= coalesce(open, low)))
  ),
  constraint bar_volume check (volume is null or (volume >= 0 and volume < 'Infinity')),
  constraint bar_vwap check (vwap is null or (vwap >= 0 and vwap < 'Infinity')),
  constraint bar_trade_count check (trade_count is null or trade_count >= 0),
  constraint bar_complete check (
    is_forecast or (open is not null and high is not null and low is not null and volume is not null)
  ),
  constraint bar_aligned check (
    timeframe in ('d1', 'w1') or date_bin('15 minutes', ts, '2000-01-01 00:00+00') = ts
  ),
  constraint forecast_by_model check (
    is_forecast = (provider = 'ml_forecast')
  ),
  constraint forecast_bands check (
    not is_forecast or (
      not is_intraday and upper_band is not null and lower_band is not null
      and '-Infinity' < lower_band and lower_band <= upper_band and upper_band < 'Infinity'
    )
  ),
  constraint tradier_is_intraday check (provider <> 'tradier' or is_intraday),
  -- Values that cannot be (swiftbolt_assets/market/validation.py tells why): a price from ten million
  -- dollars on, a hundred billion shares or a billion trades in a quarter hour. Longer bars are sums.
  constraint bar_possible check (
    greatest(open, high, low, close, vwap, upper_band, -lower_band) < 1e7
    -- Null where there is neither: a check passes it.
    and greatest(volume / 1e11, trade_count / 1e9::float8)
      < case timeframe when 'm15' then 1 when 'h1' then 4 when 'h4' then 16 else 130 end
  ),
  -- A bar that nobody traded has no price that moves.
  constraint bar_traded check (not (volume = 0 and trade_count = 0 and high > low))
) partition by range (ts);
create index ohlc_bars_v2_ts on ohlc_bars_v2 using brin (ts);
alter table ohlc_bars_v2 enable row level security;
create policy bars_read on ohlc_bars_v2 for select using (true);
create policy bars_forecast_insert on ohlc_bars_v2 for insert to service_role with check (is_forecast);
create policy bars_forecast_update on ohlc_bars_v2 for update to service_role
  using (is_forecast) with check (is_forecast);
revoke all on ohlc_bars_v2 from public, anon, authenticated, service_role;
grant select on ohlc_bars_v2 to anon, authenticated, service_role;
grant insert, update on ohlc_bars_v2 to service_role;

-- A day becomes history: what the live provider had said of it, and what replaced that.
create table finalizations (
  symbol_id uuid not null references symbols on delete cascade,
  day date not null,
  live_bars integer not null,
  history_bars integer not null,
  -- 15-minute bars whose prices or volume differ, or that one side lacks.
  differing integer not null,
  max_price_difference double precision not null,
  max_volume_difference double precision not null,
  finalized_at timestamptz not null default clock_timestamp(),
  primary key (symbol_id, day)
);
create index finalizations_day on finalizations (day);
alter table finalizations enable row level security;
revoke all on finalizations from public, anon, authenticated, service_role;
grant select on finalizations to service_role;

-- When each symbol's bars of today were last asked for: what the live refresh goes by.
--
-- Instants are the market clock's (`market_now()`), as sessions are; only `retry_at` is real time,
-- as back-off is. The bars themselves and the ledger's `provisional` row say what came of it.
create table live_refreshes (
  symbol_id uuid primary key references symbols on delete cascade,
  -- The instant for which the newest stored answer was asked.
  refreshed_at timestamptz,
  -- The end of the newest quarter hour that had closed by then.
  closed_through timestamptz,
  -- As far Dagster's catalogue has been told: once a quarter hour, not at every refresh.
  reported_through timestamptz,
  failures integer not null default 0 check (failures >= 0),
  error text,
  retry_at timestamptz,
  check (closed_through <= refreshed_at)
);
alter table live_refreshes enable row level security;
revoke all on live_refreshes from public, anon, authenticated, service_role;
grant select on live_refreshes to service_role;
