-- The request budget of each provider: slots given, refused, given back, and in whose turn.

-- Sets a limit. Called when a process starts or a provider names another limit, not per request:
-- a process with an older setting must not undo a newer one.
create or replace function rate_configure(p_name text, p_n integer, p_window_s double precision)
returns void language sql as $$
  insert into rate_limit (name, n, window_s) values (p_name, p_n, p_window_s)
  on conflict (name) do update
    set n = excluded.n, window_s = excluded.window_s, changed_at = clock_timestamp()
    where (rate_limit.n, rate_limit.window_s) is distinct from (excluded.n, excluded.window_s)
$$;

-- Sets a limit that the provider's replies correct later, and returns the one that holds: what they
-- have named stands, also for processes that start afterwards, until the setting itself changes.
create or replace function rate_begin(p_name text, p_n integer, p_window_s double precision)
returns integer language sql as $$
  insert into rate_limit (name, n, window_s, began_with)
  values (p_name, p_n, p_window_s, p_n)
  on conflict (name) do update
    set n = excluded.n, window_s = excluded.window_s, began_with = excluded.began_with,
      changed_at = clock_timestamp()
    where rate_limit.began_with is distinct from excluded.began_with;
  select n from rate_limit where name = p_name
$$;

-- Whose turn a request is among those that people wait for: 3, of a symbol without any history; 1, of one
-- whose newest session is not settled; 0, deeper history, and what no person looks at. A place that is
-- only announced is 2: it holds against deeper history, never against a request that is there.
create or replace function request_turn(p_symbol text, p_priority integer) returns integer language sql stable as $$
  select case
    when p_priority < 200 or p_symbol is null then 0
    when not exists (
      select from session_coverage c join symbols s on s.id = c.symbol_id
       where s.ticker = p_symbol and c.day < (select market_today())) then 3
    when not exists (
      select from session_coverage c join symbols s on s.id = c.symbol_id
       where s.ticker = p_symbol and c.state = 'final'
         and c.day = (select max(m.day) from market_sessions m where m.day < (select market_today())))
      then 1
    else 0 end
$$;

-- How many of a window's slots a request leaves free for what is wanted more: what people look at may
-- take the last one, what they asked for leaves one, all else has a quarter, one at least.
create or replace function slots_left_free(p_priority integer, p_pace integer) returns integer
language sql immutable parallel safe as $$
  select case
    when p_priority >= 200 then 0
    when p_priority >= 100 then 1
    else p_pace - greatest(p_pace / 4, 1) end
$$;

-- How many requests a window may see now: after a refusal one, which shows whether it is over.
create or replace function rate_pace(p_limit rate_limit) returns integer language sql volatile as $$
  select case
    when p_limit.refusals > 0 and not rate_answered(p_limit) then 1
    when p_limit.slow_until > clock_timestamp() then least(p_limit.n, p_limit.slow_n)
    else p_limit.n end
$$;

-- One round trip of a caller that wants a slot: it stays in the queue, and gets a slot if one is
-- free for it. `slot` set: go now. Otherwise: wait poll_s and call again with the returned waiter;
-- eta_s is when the slot is expected. A limit that nobody configured takes p_n and p_window_s. Who
-- names a symbol rises with it while it waits, and sinks with the slice that it asks for. Among what
-- people look at, a symbol without any history goes first, then by priority, then the newest sessions.
create or replace function rate_try(
  p_name text, p_waiter bigint, p_priority integer, p_symbol text,
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
  rank integer := coalesce(
    -- What a claim's slice says is kept true.
    (select max(r.priority) from job_runs r
      where p_name = 'polygon' and r.symbol = p_symbol and r.status = 'running'
        and r.claim_id is not null),
    greatest(p_priority, wanted_priority(p_symbol, p_priority)));
  its_turn integer := request_turn(p_symbol, rank);
  -- Its place in the queue is its own from now on.
  announced text := 'announced ' || p_symbol;
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
    update rate_waiter w set seen_until = at + interval '5 s', priority = rank, turn = its_turn
      where w.id = p_waiter and w.holder = p_holder
      returning w.id into waiter;
  end if;
  -- Waiters that stopped asking are dead.
  delete from rate_waiter w
    where w.name = p_name and (w.seen_until <= at or w.holder = announced);

  select count(*) into busy from rate_slot s where s.name = p_name;
  select count(*) into ahead from rate_waiter w
    where w.name = p_name and w.id is distinct from waiter
      and (greatest(w.turn, 1), w.priority, w.turn, -w.id)
        > (greatest(its_turn, 1), rank, its_turn, -coalesce(waiter, 9223372036854775807));
  -- How many rows must lapse first. What is left free never is the last slot, or nobody could go.
  needed := busy + ahead + least(slots_left_free(rank, pace), pace - 1) + 1 - pace;

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
    insert into rate_waiter (name, priority, turn, seen_until, holder)
      values (p_name, rank, its_turn, at + interval '5 s', p_holder)
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
  poll_s := least(1.0, greatest(case when ahead > 0 then 0.2 else 0.02 end, eta_s + 0.005));
end
$$;

-- The request has ended: its slot counts for one more window. Also after its lease has lapsed
-- (a suspended process): what has been sent counts.
create or replace function rate_done(p_name text, p_slot bigint, p_holder text)
returns void language sql as $$
  insert into rate_slot (slot, name, free_at, holder)
  select p_slot, r.name, clock_timestamp() + make_interval(secs => r.window_s), p_holder
    from rate_limit r where r.name = p_name
  on conflict (slot) do update set free_at = excluded.free_at
    where rate_slot.holder = excluded.holder
$$;

-- A waiter gives up its place.
create or replace function rate_leave(p_waiter bigint, p_holder text) returns void language sql as $$
  delete from rate_waiter where id = p_waiter and holder = p_holder
$$;

-- Whether a request was answered since the last refusal.
create or replace function rate_answered(p_limit rate_limit) returns boolean language sql volatile as $$
  select exists (
    select from provider_requests q
     where q.provider = p_limit.name and q.sent_at > p_limit.refused_at
       and q.status < 500 and q.outcome <> 'RateLimitedError')
$$;

-- The provider has refused: nobody is served for so many seconds.
create or replace function rate_push(p_name text, p_seconds double precision) returns void language sql as $$
  update rate_limit
    set closed_until = greatest(
      closed_until, clock_timestamp() + make_interval(secs => least(greatest(p_seconds, 0), 86400))),
    closed_at = clock_timestamp()
    where name = p_name
$$;

-- The provider has refused; returns for how many seconds nobody is served. What it says is obeyed, up
-- to a day. Otherwise a pause doubles with each refusal that follows another without an answer; the
-- first is what worked last, halved with each hour since. A second time within an hour, no more is
-- sent in a window than was granted in the last one.
create or replace function rate_refused(p_name text, p_asked_s double precision,
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

-- What a newcomer would find: the limit, free slots, seconds to the next one, live waiters.
create or replace function rate_state(
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

revoke all on function
  rate_begin(text,integer,double precision), request_turn(text,integer)
  from public, anon, authenticated, service_role;
