-- Somebody pressed a button: the newest session of a symbol is to be asked for again, though nothing of
-- it is missing. So this is no slice of the queue: percent, counts and the ledger's states stay as they
-- are. However often and by however many it is pressed, a request goes out once a minute at most.
create table rechecks (
  symbol_id uuid primary key references symbols on delete cascade,
  -- The press that the next request answers.
  asked_at timestamptz not null,
  -- Not taken on before.
  due_at timestamptz not null,
  priority integer not null check (priority between 0 and 1000000),
  -- Who works on it; a claim like those of slices.
  claim_id uuid,
  claimed_at timestamptz,
  -- When a request was last about to be sent for it, or was answered.
  request_at timestamptz,
  ended_at timestamptz,
  failures integer not null default 0 check (failures >= 0),
  error text,
  check ((claim_id is null) = (claimed_at is null)),
  check (ended_at is null or claim_id is null)
);
create index rechecks_open on rechecks (priority desc, asked_at) where ended_at is null;
alter table rechecks enable row level security;
revoke all on rechecks from public, anon, authenticated, service_role;
create policy rechecks_read on rechecks for select using (true);
grant select on rechecks to authenticated, service_role;

-- Has known symbols asked for again; returns the instant of the press. What is under way answers this
-- press, too, and so does what was answered within the last minute.
create function recheck_symbols(p_symbols text[], p_priority integer) returns timestamptz
language plpgsql security definer as $$
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
do $$
begin
  -- pg_temp last: a caller's temporary table must not pass for one of ours.
  execute format('alter function recheck_symbols(text[], integer) set search_path = %I, pg_temp',
    current_schema());
end
$$;
revoke all on function recheck_symbols(text[], integer)
  from public, anon, authenticated, service_role;
grant execute on function recheck_symbols(text[], integer) to authenticated, service_role;
