-- Closures and early closes that are announced between releases, and what they take out of the sessions.

-- A change is one of the calendar on board (market/announced.py applies it). One that was taken back
-- stays: a run that began before it may still store by the calendar of then.
create table calendar_changes (
  day date primary key,
  -- New York time; null where the exchange is closed all day.
  closes time,
  reason text not null default '',
  changed_at timestamptz not null default clock_timestamp(),
  removed_at timestamptz
);

-- Bars that lie outside their day's session since it was changed, and hours as they were before a
-- close cut them; they come back with it. A column that is added to `ohlc_bars_v2` is added here, too,
-- and one of `session_coverage` to `sessions_aside`.
create table bars_aside (
  like ohlc_bars_v2 including defaults,
  primary key (symbol_id, timeframe, ts, provider, is_forecast),
  foreign key (symbol_id) references symbols on delete cascade
);
create index bars_aside_ts on bars_aside (ts);

-- What the ledger said of a session with another number of quarter hours.
create table sessions_aside (
  like session_coverage including defaults,
  primary key (symbol_id, day, expected),
  foreign key (symbol_id) references symbols on delete cascade
);
alter table calendar_changes enable row level security;
alter table bars_aside enable row level security;
alter table sessions_aside enable row level security;
revoke all on calendar_changes, bars_aside, sessions_aside
  from public, anon, authenticated, service_role;
grant select on calendar_changes, bars_aside, sessions_aside to service_role;
