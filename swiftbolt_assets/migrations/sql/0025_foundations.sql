-- Roles, the users of others, enums.

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
