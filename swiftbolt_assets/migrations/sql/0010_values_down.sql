-- What was rejected stays rejected: its sessions are asked for again by any version.
alter table ohlc_bars_v2 drop constraint bar_possible;
