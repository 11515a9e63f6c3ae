-- Roles, enums, the market clock and the symbols.

-- Supabase brings these roles; elsewhere they are created. Roles belong to the whole server, so
-- two migrations of two databases may race for them.
do $$
declare
  wanted text;
begin
  foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      begin
        execute format('create role %I nologin', wanted);
      exception
        when duplicate_object or unique_violation then
          raise notice 'role % was created meanwhile', wanted;
      end;
    end if;
  end loop;
end
$$;

-- Where they are somebody else's nothing is made, and no right to make it is needed.
do $$
begin
  if to_regnamespace('auth') is null then
    create schema auth;
  end if;
  if to_regclass('auth.users') is null then
    create table auth.users (
      id uuid primary key default gen_random_uuid(),
      email text
    );
  end if;
end
$$;

-- The caller's user id, from the claims that the API sets for its transaction.
do $$
begin
  if to_regprocedure('auth.uid()') is null then
    create function auth.uid() returns uuid language sql stable as $f$
      select nullif(
        coalesce(
          nullif(current_setting('request.jwt.claim.sub', true), ''),
          nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
        ), '')::uuid
    $f$;
    grant usage on schema auth to anon, authenticated, service_role;
  end if;
end
$$;

create type timeframe as enum ('m15', 'h1', 'h4', 'd1', 'w1');
create type data_provider as enum (
  'polygon', 'tradier', 'ml_forecast', 'yfinance', 'alpaca', 'finnhub', 'massive', 'yahoo'
);
create type asset_type as enum ('stock', 'future', 'option', 'crypto');

-- The one clock. A connection may move it back by `swiftbolt.clock_offset` (seconds, <= 0);
-- nothing is persisted. Audit times, leases and back-off use clock_timestamp() instead.
create function market_now() returns timestamptz language sql volatile parallel safe as $$
  select clock_timestamp() + make_interval(
    secs => coalesce(nullif(current_setting('swiftbolt.clock_offset', true), ''), '0')::float8)
$$;

create function market_today() returns date language sql volatile parallel safe as $$
  select (market_now() at time zone 'America/New_York')::date
$$;

-- The first instant of a New York date.
create function new_york_midnight(p_day date) returns timestamptz language sql stable parallel safe as $$
  select p_day::timestamp at time zone 'America/New_York'
$$;

create function touch_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end
$$;

create table symbols (
  id uuid primary key default gen_random_uuid(),
  ticker text not null unique
    check (ticker ~ '^[A-Z][A-Z0-9]{0,9}(\.[A-Z][A-Z0-9]{0,3})?$'),
  asset_type asset_type not null default 'stock',
  description text,
  primary_source data_provider not null default 'polygon',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index symbols_asset_type on symbols (asset_type);
create trigger symbols_touch before update on symbols
  for each row execute function touch_updated_at();
alter table symbols enable row level security;
create policy symbols_read on symbols for select using (true);
-- Supabase grants everything on new tables by default, TRUNCATE included, which no policy holds.
revoke all on symbols from public, anon, authenticated, service_role;
grant select on symbols to anon, authenticated, service_role;

-- What this database is: facts that outlive a process, such as whether its bars are simulated.
create table installation (
  name text primary key,
  value text not null,
  changed_at timestamptz not null default clock_timestamp()
);

alter table installation enable row level security;
revoke all on installation from public, anon, authenticated, service_role;

-- The exchange's sessions, for SQL; `swiftbolt migrate` keeps them equal to the calendar's data.
create table market_sessions (
  day date primary key,
  opens timestamptz not null,
  closes timestamptz not null,
  check (opens < closes)
);
revoke all on market_sessions from public, anon, authenticated, service_role;
grant select on market_sessions to anon, authenticated, service_role;
