-- The market's clock; it stands before the tables, which have it as a default.

-- The one clock. A connection may move it back by `swiftbolt.clock_offset` (seconds, <= 0);
-- nothing is persisted. Audit times, leases and back-off use clock_timestamp() instead.
create or replace function market_now() returns timestamptz language sql volatile parallel safe as $$
  select clock_timestamp() + make_interval(
    secs => coalesce(nullif(current_setting('swiftbolt.clock_offset', true), ''), '0')::float8)
$$;

create or replace function market_today() returns date language sql volatile parallel safe as $$
  select (market_now() at time zone 'America/New_York')::date
$$;

-- The first instant of a New York date.
create or replace function new_york_midnight(p_day date) returns timestamptz language sql stable parallel safe as $$
  select p_day::timestamp at time zone 'America/New_York'
$$;

-- Whether a wait is over, by either clock.
create or replace function is_due(p_at timestamptz, p_market_at timestamptz) returns boolean
language sql volatile parallel safe as $$
  select p_at is null or p_at <= clock_timestamp() or coalesce(p_market_at <= market_now(), false)
$$;

revoke all on function
  is_due(timestamptz,timestamptz)
  from public, anon, authenticated, service_role;
