do $$
declare
  spelling record;
begin
  for spelling in
    select p.oid from pg_proc p
     where p.pronamespace = current_schema()::regnamespace
       and p.prosrc ~ 'canonical_symbol\((p_symbol|new\.symbol)\)'
  loop
    execute regexp_replace(pg_get_functiondef(spelling.oid),
      'canonical_symbol\((p_symbol|new\.symbol)\)', 'upper(btrim(\1))', 'g');
  end loop;
end
$$;
drop function canonical_symbol(text);
alter table symbols drop constraint symbols_ticker_check,
  add constraint symbols_ticker_check
    check (ticker ~ '^[A-Z][A-Z0-9]{0,9}(\.[A-Z][A-Z0-9]{0,3})?$');
alter table job_definitions drop constraint job_definitions_symbol_check,
  add constraint job_definitions_symbol_check
    check (symbol ~ '^[A-Z][A-Z0-9]{0,9}(\.[A-Z][A-Z0-9]{0,3})?$');
