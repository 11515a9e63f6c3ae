-- Planning in batches: whoever plans one symbol waits for a batch at most, not for ten thousand symbols.
drop function plan_job_runs(text, integer);

-- Plans the symbols whose definitions, calendar or ledger changed, the most wanted first and at most so
-- many (null: all), or one symbol. Symbols below a priority stay unplanned. Returns how many rows of
-- job_runs were added, and how many symbols were planned: fewer than asked for means that none is left.
create function plan_due_symbols(
  p_symbol text, p_least_priority integer, p_most integer, out added integer, out planned integer
) language plpgsql as $$
declare
  newest date := (select max(day) from market_sessions where day < market_today());
  due text[];
  mirrored integer;
begin
  added := 0;
  planned := 0;
  -- One planner at a time: two would both find the same sessions missing.
  perform pg_advisory_xact_lock(hashtextextended('plan_job_runs', 0));
  perform requeue_failed(p_symbol, false);
  select array_agg(d.symbol) into due
    from (
      select coalesce(w.symbol, p.symbol) as symbol
        from wanted_symbols w full join symbol_plans p using (symbol)
       where (p_symbol is null or coalesce(w.symbol, p.symbol) = p_symbol)
         and (w.symbol is null or w.priority >= p_least_priority)
         and (p.wanted is distinct from coalesce(w.wanted, '') or p.stale or p.last_day <> newest)
       -- What nobody wants any more comes last: it only has slices to lose.
       order by w.priority desc nulls last, w.since, coalesce(w.symbol, p.symbol)
       limit p_most
    ) d;
  if due is null or newest is null then
    return;
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
    added := insert_slices(due, newest) + mirrored;
    planned := cardinality(due);
  exception
    -- A definition came and went meanwhile: the next look plans without it.
    when foreign_key_violation then
      added := 0;
  end;
end
$$;

-- The same for whoever counts rows only.
create function plan_job_runs(
  p_symbol text default null, p_least_priority integer default 0, p_most integer default null
) returns integer language sql as $$
  select added from plan_due_symbols(p_symbol, p_least_priority, p_most)
$$;

revoke all on function plan_due_symbols(text, integer, integer), plan_job_runs(text, integer, integer)
  from public, anon, authenticated, service_role;
