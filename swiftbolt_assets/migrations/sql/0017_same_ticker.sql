-- An id follows from its ticker, so two that add the same one at once may meet at the id
-- before they meet at the ticker: either meeting means that it is there.
do $$
declare
  adding record;
begin
  for adding in
    select p.oid from pg_proc p
     where p.pronamespace = current_schema()::regnamespace
       and p.prosrc ~ 'insert into symbols' and p.prosrc ~ 'on conflict \(ticker\) do nothing'
  loop
    execute replace(pg_get_functiondef(adding.oid),
      'on conflict (ticker) do nothing', 'on conflict do nothing');
  end loop;
end
$$;
