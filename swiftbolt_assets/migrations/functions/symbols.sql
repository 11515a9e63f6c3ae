-- Tickers, their ids, and who may name them.

-- Tickers are case-coded (market/symbols.py says how): no letter is folded but where none is a
-- capital.

-- The canonical symbol of what a caller wrote, by the rule of market/symbols.py; null for null.
create or replace function canonical_symbol(p_symbol text) returns text
language plpgsql immutable strict parallel safe as $$
declare
  candidate text := translate(btrim(p_symbol, E' \t\r\n'), '-/', '..');
begin
  -- The one place that changes case: small letters alone mean capitals. "C": ASCII, in any locale.
  if candidate = lower(candidate collate "C") then
    candidate := upper(candidate collate "C");
  end if;
  if candidate ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$' then
    return candidate;
  end if;
  raise exception using
    errcode = 'invalid_parameter_value',
    message = format('symbol: %L is not a ticker; give one such as AAPL, BRK.B or BACpL',
      left(p_symbol, 24));
end
$$;

-- A symbol's id follows from its ticker, so that a ticker that search offers has the id that it
-- keeps when somebody opens it: UUID version 8 (RFC 9562) of a SHA-256. Older symbols keep theirs.
create or replace function symbol_id(p_ticker text) returns uuid language sql immutable strict parallel safe as $$
  select encode(
    set_byte(set_byte(h, 6, (get_byte(h, 6) & 15) | 128), 8, (get_byte(h, 8) & 63) | 128), 'hex')::uuid
    from substr(sha256(decode('swiftbolt:symbol:' || p_ticker, 'escape')), 1, 16) as h
$$;

-- A new symbol has its id from its ticker, and its name from the list.
create or replace function complete_symbol() returns trigger language plpgsql as $$
begin
  new.id := coalesce(new.id, symbol_id(new.ticker));
  new.description := coalesce(
    new.description, (select nullif(name, '') from listed_tickers where ticker = new.ticker));
  return new;
end
$$;

create or replace trigger symbols_complete before insert on symbols
  for each row execute function complete_symbol();

-- Holds symbols until commit and returns how many of them there are. As the owner: a foreign key
-- asks for no rights on its target, but `for key share` wants the right to update.
create or replace function hold_symbols(p_ids uuid[]) returns bigint language sql volatile security definer
set search_path = public, pg_temp as $$
  with held as (select id from symbols where id = any(p_ids) for key share)
  select count(*) from held
$$;

-- What a person may cause through the API, as functions with the owner's rights: each does one thing,
-- only ever raises, and is bounded. Everything else a person does is held by row-level security.

-- The caller becomes a row of auth.users where these are ours; a foreign one knows its users.
create or replace function admit_caller() returns uuid language plpgsql security definer
set search_path = public, pg_temp as $$
declare
  caller uuid := auth.uid();
begin
  if caller is null or exists (select from auth.users where id = caller) then
    return caller;
  end if;
  begin
    insert into auth.users (id) values (caller) on conflict do nothing;
  exception
    when insufficient_privilege or not_null_violation then
      raise exception using
        errcode = 'invalid_authorization_specification',
        message = format('user %s is unknown to auth.users', caller);
  end;
  return caller;
end
$$;

-- Adds well-formed tickers that are missing; whether they exist is settled by the providers.
create or replace function admit_symbols(p_symbols text[]) returns void
language plpgsql security definer
set search_path = public, pg_temp as $$
begin
  if cardinality(p_symbols) > 200 then
    raise exception using
      errcode = 'invalid_parameter_value', message = 'symbols: at most 200 at once';
  end if;
  insert into symbols (ticker)
  select t from unnest(p_symbols) as t
   where not exists (select from symbols s where s.ticker = t)
   order by 1
  on conflict do nothing;
end
$$;

revoke all on function
  canonical_symbol(text), symbol_id(text), complete_symbol(), hold_symbols(uuid[]),
  admit_caller(), admit_symbols(text[])
  from public, anon, authenticated, service_role;
grant execute on function
  canonical_symbol(text), symbol_id(text)
  to anon, authenticated, service_role;
grant execute on function
  hold_symbols(uuid[])
  to service_role;
grant execute on function
  admit_caller(), admit_symbols(text[])
  to authenticated, service_role;
