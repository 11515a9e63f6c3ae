-- Takes back what 0001_reading.sql made beside the contract's functions: it holds the enum that
-- 0001_down.sql drops.
drop function parse_timeframe(text);
