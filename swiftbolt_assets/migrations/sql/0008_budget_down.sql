-- As it was: every refusal a minute, a closure of a quarter hour at most.
drop function rate_try(text, bigint, integer, integer, double precision, text, integer, double precision);
drop function rate_state(text);

-- One round trip of a caller that wants a slot: it stays in the queue, and gets a slot if one is
-- free for it. `slot` set: go now. Otherwise: wait poll_s and call again with the returned waiter;
-- eta_s is when the slot is expected. A limit that nobody configured takes p_n and p_window_s.
create function rate_try(
  p_name text, p_waiter bigint, p_priority integer, p_reserve integer,
  p_lease_s double precision, p_holder text, p_n integer, p_window_s double precision,
  out waiter bigint, out slot bigint, out poll_s double precision, out eta_s double precision
) language plpgsql as $$
declare
  lim rate_limit;
  at timestamptz;
  horizon interval;
  busy integer;
  ahead integer;
  needed integer;
  opens timestamptz;
begin
  -- The counts below must see what the last holder of the row lock has committed.
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'rate_try needs isolation level read committed, not %',
      current_setting('transaction_isolation');
  end if;
  -- A grant must outlive a killed server before its request leaves.
  if current_setting('synchronous_commit') in ('off', 'local') then
    perform set_config('synchronous_commit', 'on', true);
  end if;

  -- The row lock: one caller at a time counts and takes.
  select * into lim from rate_limit r where r.name = p_name for no key update;
  if not found then
    insert into rate_limit (name, n, window_s) values (p_name, p_n, p_window_s)
      on conflict do nothing;
    select * into strict lim from rate_limit r where r.name = p_name for no key update;
  end if;
  at := clock_timestamp();

  -- No honest row lies further ahead. One that does was written before the clock was set back.
  horizon := make_interval(secs => greatest(p_lease_s, 300) + lim.window_s);
  update rate_slot s set free_at = at + horizon
    where s.name = p_name and s.free_at > at + horizon;
  if lim.closed_until > at + interval '15 minutes' then
    lim.closed_until := at + interval '15 minutes';
    update rate_limit r set closed_until = lim.closed_until where r.name = p_name;
  end if;
  delete from rate_slot s where s.name = p_name and s.free_at <= at;

  if p_waiter is not null then
    update rate_waiter w set seen_until = at + interval '5 s'
      where w.id = p_waiter and w.holder = p_holder
      returning w.id into waiter;
  end if;
  -- Waiters that stopped asking are dead.
  delete from rate_waiter w where w.name = p_name and w.seen_until <= at;

  select count(*) into busy from rate_slot s where s.name = p_name;
  select count(*) into ahead from rate_waiter w
    where w.name = p_name and w.id is distinct from waiter
      and (w.priority > p_priority
           or (w.priority = p_priority and (waiter is null or w.id < waiter)));
  -- How many rows must lapse first. A reserve never takes the last slot, or nobody could go.
  needed := busy + ahead + least(p_reserve, lim.n - 1) + 1 - lim.n;

  if needed <= 0 and lim.closed_until <= at then
    insert into rate_slot (name, free_at, holder)
      values (p_name, at + make_interval(secs => p_lease_s + lim.window_s), p_holder)
      returning rate_slot.slot into slot;
    delete from rate_waiter w where w.id = waiter;
    poll_s := 0;
    eta_s := 0;
    return;
  end if;

  if waiter is null then
    insert into rate_waiter (name, priority, seen_until, holder)
      values (p_name, p_priority, at + interval '5 s', p_holder)
      returning id into waiter;
  end if;
  opens := at;
  if needed > 0 and busy > 0 then
    select s.free_at into opens from rate_slot s where s.name = p_name
      order by s.free_at offset least(needed, busy) - 1 limit 1;
  end if;
  -- Those further back wait for whole rounds of the limit.
  opens := greatest(opens, lim.closed_until) + make_interval(
    secs => lim.window_s * ceil(greatest(needed - busy, 0)::double precision / lim.n));
  eta_s := greatest(0, extract(epoch from opens - at));
  -- Not behind the first: no use in asking more often than the first does.
  poll_s := least(2.0, greatest(case when ahead > 0 then 0.2 else 0.02 end, eta_s + 0.005));
end
$$;

-- The provider has refused: nobody is served for so many seconds.
create or replace function rate_push(p_name text, p_seconds double precision) returns void language sql as $$
  update rate_limit
    set closed_until = greatest(
      closed_until, clock_timestamp() + make_interval(secs => least(greatest(p_seconds, 0), 900)))
    where name = p_name
$$;

-- What a newcomer would find: the limit, free slots, seconds to the next one, live waiters.
create function rate_state(
  p_name text,
  out n integer, out free integer, out next_free_s double precision, out waiting integer
) returns setof record language sql as $$
  select
    r.n,
    case when r.closed_until > c.at then 0 else greatest(r.n - b.busy, 0) end,
    greatest(
      0,
      extract(epoch from nullif(r.closed_until, '-infinity') - c.at),
      case when b.busy >= r.n then
        (select extract(epoch from s.free_at - c.at)
           from rate_slot s where s.name = r.name and s.free_at > c.at
           order by s.free_at offset b.busy - r.n limit 1)
      end),
    (select count(*)::integer from rate_waiter w where w.name = r.name and w.seen_until > c.at)
  from rate_limit r
  cross join (select clock_timestamp() as at) c
  cross join lateral (
    select count(*)::integer as busy from rate_slot s where s.name = r.name and s.free_at > c.at
  ) b
  where r.name = p_name
$$;

drop function rate_refused(text, double precision, double precision, double precision);
drop function rate_pace(rate_limit), rate_answered(rate_limit);
alter table rate_limit drop column closed_at, drop column refusals, drop column refused_at,
  drop column pause_s, drop column slow_n, drop column slow_until;
