-- Tickers are case-coded (market/symbols.py says how): no letter is folded but where none is a
-- capital.

-- The canonical symbol of what a caller wrote, by the rule of market/symbols.py; null for null.
create function canonical_symbol(p_symbol text) returns text
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
revoke all on function canonical_symbol(text) from public, anon, authenticated, service_role;
grant execute on function canonical_symbol(text) to anon, authenticated, service_role;

alter table symbols drop constraint symbols_ticker_check,
  add constraint symbols_ticker_check
    check (ticker ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$');
alter table job_definitions drop constraint job_definitions_symbol_check,
  add constraint job_definitions_symbol_check
    check (symbol ~ '^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$');

-- Every function that folded what it was given has it spelled instead; nothing else of them changes.
do $$
declare
  folding record;
begin
  for folding in
    select p.oid from pg_proc p
     where p.pronamespace = current_schema()::regnamespace
       and p.prosrc ~ 'upper\((btrim|trim)\((p_symbol|new\.symbol)\)\)'
  loop
    execute regexp_replace(pg_get_functiondef(folding.oid),
      'upper\((?:btrim|trim)\((p_symbol|new\.symbol)\)\)', 'canonical_symbol(\1)', 'g');
  end loop;
end
$$;
