-- Planning as it was: all due symbols in one transaction.
drop function plan_job_runs(text, integer, integer);
drop function plan_due_symbols(text, integer, integer);

-- Plans every symbol whose definitions, calendar or ledger changed, or one symbol; returns how many
-- rows of job_runs were added. Symbols below a priority stay unplanned.
create function plan_job_runs(p_symbol text default null, p_least_priority integer default 0)
returns integer language plpgsql as $$
declare
  newest date := (select max(day) from market_sessions where day < market_today());
  due text[];
  added integer := 0;
  mirrored integer;
begin
  -- One planner at a time: two would both find the same sessions missing.
  perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
  perform requeue_failed(p_symbol, false);
  select array_agg(coalesce(w.symbol, p.symbol)) into due
    from wanted_symbols w full join symbol_plans p using (symbol)
   where (p_symbol is null or coalesce(w.symbol, p.symbol) = p_symbol)
     and (w.symbol is null or w.priority >= p_least_priority)
     and (p.wanted is distinct from coalesce(w.wanted, '') or p.stale or p.last_day <> newest);
  if due is null or newest is null then
    return 0;
  end if;
  -- A definition that is deleted meanwhile would take its slices from under the plan.
  perform from job_definitions d where d.symbol = any(due) order by d.id for key share;
  begin
    -- Noted before the work: what changes during it is planned the next time.
    insert into symbol_plans (symbol, wanted, last_day)
    select s.symbol, coalesce(w.wanted, ''), newest
      from unnest(due) as s (symbol) left join wanted_symbols w using (symbol)
    on conflict (symbol) do update set
      wanted = excluded.wanted, last_day = excluded.last_day, stale = false,
      planned_at = clock_timestamp();
    perform cancel_unwanted_slices(due);
    mirrored := mirror_slices(due);
    added := insert_slices(due, newest);
  exception
    -- A definition came and went meanwhile: the next look plans without it.
    when foreign_key_violation then
      return 0;
  end;
  return added + mirrored;
end
$$;
revoke all on function plan_job_runs(text, integer)
  from public, anon, authenticated, service_role;
