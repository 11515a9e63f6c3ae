-- A provider that refuses is asked ever later: its pauses are counted over all processes, the one that
-- worked is where the next refusal begins, and what it granted is gone by for an hour.

alter table rate_limit
  -- When it was closed: a closure that began in the future was written before the clock was set back.
  add column closed_at timestamptz not null default '-infinity',
  -- Refusals since the last answer, of those that did not say how long to wait.
  add column refusals integer not null default 0,
  add column refused_at timestamptz,
  add column pause_s double precision,
  -- So many a window, until then.
  add column slow_n integer check (slow_n >= 1),
  add column slow_until timestamptz;

-- Whether a request was answered since the last refusal.
create function rate_answered(p_limit rate_limit) returns boolean language sql volatile as $$
  select exists (
    select from provider_requests q
     where q.provider = p_limit.name and q.sent_at > p_limit.refused_at
       and q.status < 500 and q.outcome <> 'RateLimitedError')
$$;

-- How many requests a window may see now: after a refusal one, which shows whether it is over.
create function rate_pace(p_limit rate_limit) returns integer language sql volatile as $$
  select case
    when p_limit.refusals > 0 and not rate_answered(p_limit) then 1
    when p_limit.slow_until > clock_timestamp() then least(p_limit.n, p_limit.slow_n)
    else p_limit.n end
$$;

-- The provider has refused; returns for how many seconds nobody is served. What it says is obeyed, up
-- to a day. Otherwise a pause doubles with each refusal that follows another without an answer; the
-- first is what worked last, halved with each hour since. A second time within an hour, no more is
-- sent in a window than was granted in the last one.
create function rate_refused(p_name text, p_asked_s double precision,
  p_first_s double precision default 60, p_longest_s double precision default 1200)
returns double precision language plpgsql as $$
declare
  lim rate_limit;
  at timestamptz;
  pause double precision;
  granted integer;
  was integer;
begin
  select * into lim from rate_limit where name = p_name for no key update;
  if not found then
    return coalesce(p_asked_s, p_first_s);
  end if;
  at := clock_timestamp();
  if p_asked_s is not null then
    perform rate_push(p_name, p_asked_s);
    return greatest(least(p_asked_s, 86400), coalesce(extract(epoch from nullif(lim.closed_until, '-infinity') - at), 0));
  end if;
  if lim.closed_until > at then
    -- Another one of the same moment.
    return extract(epoch from lim.closed_until - at);
  end if;
  if lim.refusals > 0 and not rate_answered(lim) then
    pause := lim.pause_s * 2;
    lim.refusals := lim.refusals + 1;
  else
    lim.refusals := 0;
    was := rate_pace(lim);
    lim.refusals := 1;
    pause := coalesce(
      lim.pause_s / 2 ^ floor(extract(epoch from at - lim.refused_at) / 3600), p_first_s);
    select count(*) into granted from provider_requests
     where provider = p_name and outcome = 'ok'
       and sent_at > at - make_interval(secs => lim.window_s);
    if granted > 0 and lim.refused_at > at - interval '1 hour' then
      lim.slow_n := least(granted, greatest(was - 1, 1));
      lim.slow_until := at + interval '1 hour';
    end if;
  end if;
  pause := least(greatest(pause, p_first_s), p_longest_s);
  update rate_limit set refusals = lim.refusals, refused_at = at, pause_s = pause,
    slow_n = lim.slow_n, slow_until = lim.slow_until,
    closed_until = at + make_interval(secs => pause), closed_at = at
   where name = p_name;
  return pause;
end
$$;

-- The provider has refused: nobody is served for so many seconds.
create or replace function rate_push(p_name text, p_seconds double precision) returns void language sql as $$
  update rate_limit
    set closed_until = greatest(
      closed_until, clock_timestamp() + make_interval(secs => least(greatest(p_seconds, 0), 86400))),
    closed_at = clock_timestamp()
    where name = p_name
$$;

drop function rate_try(text, bigint, integer, integer, double precision, text, integer, double precision);
-- One round trip of a caller that wants a slot: it stays in the queue, and gets a slot if one is
-- free for it. `slot` set: go now. Otherwise: wait poll_s and call again with the returned waiter;
-- eta_s is when the slot is expected. A limit that nobody configured takes p_n and p_window_s.
create function rate_try(
  p_name text, p_waiter bigint, p_priority integer, p_reserve integer,
  p_lease_s double precision, p_holder text, p_n integer, p_window_s double precision,
  out waiter bigint, out slot bigint, out poll_s double precision, out eta_s double precision,
  out closed_s double precision
) language plpgsql as $$
declare
  lim rate_limit;
  at timestamptz;
  horizon interval;
  busy integer;
  ahead integer;
  needed integer;
  pace integer;
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
  if lim.closed_until > at + interval '15 minutes'
    and (lim.closed_at > at or lim.closed_until > lim.closed_at + interval '1 day') then
    lim.closed_until := at + interval '15 minutes';
    update rate_limit r set closed_until = lim.closed_until, closed_at = at where r.name = p_name;
  end if;
  closed_s := greatest(0, extract(epoch from nullif(lim.closed_until, '-infinity') - at));
  if lim.refusals > 0 and rate_answered(lim) then
    lim.refusals := 0;
    update rate_limit r set refusals = 0 where r.name = p_name;
  end if;
  pace := rate_pace(lim);
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
  needed := busy + ahead + least(p_reserve, pace - 1) + 1 - pace;

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
    secs => lim.window_s * ceil(greatest(needed - busy, 0)::double precision / pace));
  eta_s := greatest(0, extract(epoch from opens - at));
  -- Not behind the first: no use in asking more often than the first does.
  poll_s := least(2.0, greatest(case when ahead > 0 then 0.2 else 0.02 end, eta_s + 0.005));
end
$$;

drop function rate_state(text);
-- What a newcomer would find: the limit, free slots, seconds to the next one, live waiters.
create function rate_state(
  p_name text,
  out n integer, out free integer, out next_free_s double precision, out waiting integer,
  out closed_s double precision
) returns setof record language sql as $$
  select
    r.n,
    case when r.closed_until > c.at then 0 else greatest(p.pace - b.busy, 0) end,
    greatest(
      0,
      extract(epoch from nullif(r.closed_until, '-infinity') - c.at),
      case when b.busy >= p.pace then
        (select extract(epoch from s.free_at - c.at)
           from rate_slot s where s.name = r.name and s.free_at > c.at
           order by s.free_at offset b.busy - p.pace limit 1)
      end),
    (select count(*)::integer from rate_waiter w where w.name = r.name and w.seen_until > c.at),
    greatest(0, extract(epoch from nullif(r.closed_until, '-infinity') - c.at))::float8
  from rate_limit r
  cross join (select clock_timestamp() as at) c
  cross join lateral (select rate_pace(r) as pace) p
  cross join lateral (
    select count(*)::integer as busy from rate_slot s where s.name = r.name and s.free_at > c.at
  ) b
  where r.name = p_name
$$;
