do $$
declare
  adding record;
begin
  for adding in
    select p.oid from pg_proc p
     where p.pronamespace = current_schema()::regnamespace
       and p.prosrc ~ 'insert into symbols' and p.prosrc ~ 'on conflict do nothing'
  loop
    execute replace(pg_get_functiondef(adding.oid),
      'on conflict do nothing', 'on conflict (ticker) do nothing');
  end loop;
end
$$;
