-- Somebody pressed a button: the newest session of a symbol is asked for again.

-- Has known symbols asked for again; returns the instant of the press. What is under way answers this
-- press, too, and so does what was answered within the last minute.
create or replace function recheck_symbols(p_symbols text[], p_priority integer) returns timestamptz
language plpgsql security definer
set search_path = public, pg_temp as $$
declare
  pressed timestamptz := clock_timestamp();
begin
  if cardinality(p_symbols) > 200 then
    raise exception using
      errcode = 'invalid_parameter_value', message = 'symbols: at most 200 at once';
  end if;
  insert into rechecks as r (symbol_id, asked_at, due_at, priority)
  select id, pressed, pressed, least(p_priority, (select max(priority) from interest_priorities))
    from symbols where ticker = any(p_symbols) order by id
  on conflict (symbol_id) do update set
    asked_at = excluded.asked_at,
    due_at = greatest(excluded.asked_at, r.request_at + interval '1 minute'),
    priority = case
      when r.ended_at is null then greatest(r.priority, excluded.priority) else excluded.priority end,
    ended_at = null,
    failures = case when r.ended_at is null then r.failures else 0 end,
    error = case when r.ended_at is null then r.error end
    where r.claim_id is null
      and (r.ended_at is null or r.request_at <= excluded.asked_at - interval '1 minute');
  perform pg_notify('swiftbolt_work', '');
  return pressed;
end
$$;

revoke all on function
  recheck_symbols(text[],integer)
  from public, anon, authenticated, service_role;
grant execute on function
  recheck_symbols(text[],integer)
  to authenticated, service_role;
