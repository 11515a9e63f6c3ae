-- The health of providers: who is left alone and who probes, and how far back a plan reaches.

-- Whether a symbol may be asked for now: `wait_s` is null then. While a provider cools down nobody is;
-- after that one request is, as a probe, and its end decides for all. A person's command need not wait.
create or replace function ask_provider(
  p_provider text, p_symbol text, p_at_once boolean, p_lease_s double precision,
  out is_probe boolean, out wait_s double precision, out is_failing boolean)
language plpgsql as $$
declare
  health provider_health;
  at timestamptz;
begin
  is_probe := false;
  -- The latest request failed, in all its attempts: one is enough to learn that the next does, too.
  is_failing := exists (
    select from provider_health where provider = p_provider and failures > 0);
  perform from provider_health
    where provider = p_provider and cooling_until is not null
      and (for_all or p_symbol = any(symbols));
  if not found then
    return;
  end if;
  select * into health from provider_health where provider = p_provider for update;
  at := clock_timestamp();
  if health.cooling_until is null then
    return;
  end if;
  if not p_at_once and not (health.probe_symbol is not distinct from p_symbol
      and health.probe_until > at) then
    wait_s := extract(epoch from health.cooling_until - at);
    if health.probe_until > at then
      wait_s := greatest(wait_s, 5);
    end if;
    if wait_s > 0 then
      return;
    end if;
  end if;
  wait_s := null;
  is_probe := true;
  update provider_health
     set probe_symbol = p_symbol, probe_until = at + make_interval(secs => p_lease_s)
   where provider = p_provider;
end
$$;

-- A request was answered. The end of a cool-down wakes whoever waited for it; who failed again and
-- again by itself waits on.
create or replace function provider_answered(p_provider text, p_symbol text) returns void language plpgsql as $$
declare
  health provider_health;
begin
  if p_provider = 'polygon' then
    delete from symbol_refusals where symbol = p_symbol;
    if found then
      perform end_waits(array[p_symbol], 1);
    end if;
    perform give_up_refused(p_symbol);
  end if;
  select * into health from provider_health
   where provider = p_provider
     and (failures > 0 or cooling_until is not null or failing_since is not null) for update;
  if not found then
    return;
  end if;
  update provider_health set failures = 0, cooling_until = null, reason = null, error_code = null,
    symbols = '{}', for_all = true, failing_since = null, probe_symbol = null, probe_until = null,
    changed_at = clock_timestamp()
   where provider = p_provider;
  if health.cooling_until is null
    or not (health.for_all or coalesce(p_symbol = any(health.symbols), false)) then
    return;
  end if;
  if p_provider = 'polygon' then
    perform end_waits(case when not health.for_all then health.symbols end, 3);
    perform pg_notify('swiftbolt_work', '');
  else
    update live_refreshes set retry_at = clock_timestamp()
     where retry_at > clock_timestamp() and failures <= 3;
  end if;
end
$$;

-- A failure of a request: of the `key` (stops all at once), a `refusal`, or an `outage`. Three outages
-- in a row let the symbols rest that failed; three symbols without an answer in between, all of them.
-- The rest is a quarter of the time that nothing was answered, 5 s at least.
create or replace function provider_failed(
  p_provider text, p_symbol text, p_kind text, p_code text, p_reason text) returns void
language plpgsql as $$
declare
  health provider_health;
  longest double precision := case p_kind when 'refusal' then 3600 else 600 end;
begin
  insert into provider_health (provider) values (p_provider) on conflict do nothing;
  select * into strict health from provider_health where provider = p_provider for update;
  -- Who was refused before says nothing new of the provider.
  if p_kind = 'refusal' and p_provider = 'polygon' and health.cooling_until is null
    and exists (select from symbol_refusals where symbol = p_symbol) then
    return;
  end if;
  health.failing_since := coalesce(health.failing_since, clock_timestamp());
  health.symbols := array_remove(health.symbols, p_symbol) || p_symbol;
  health.symbols := health.symbols[greatest(cardinality(health.symbols) - 99, 1):];
  health.failures := health.failures + (p_kind <> 'refusal')::integer;
  health.for_all := p_kind = 'key' or cardinality(health.symbols) >= 3
    or (health.cooling_until is not null and health.for_all);
  if health.cooling_until is not null or health.for_all or health.failures >= 3 then
    health.cooling_until := clock_timestamp() + make_interval(secs => least(longest, greatest(5,
      extract(epoch from clock_timestamp() - health.failing_since)
        -- What has lasted for minutes lasts on: half of it costs half of the probes.
        / case when clock_timestamp() - health.failing_since < interval '2 minutes' then 4 else 2 end)));
  end if;
  update provider_health set failures = health.failures, cooling_until = health.cooling_until,
    reason = p_reason, error_code = p_code, symbols = health.symbols, for_all = health.for_all,
    failing_since = health.failing_since, probe_symbol = null, probe_until = null,
    changed_at = clock_timestamp()
   where provider = p_provider;
  if health.for_all and p_provider = 'polygon' then
    -- What was refused in a bad hour is no evidence.
    update symbol_refusals set fingerprint = '', refusals = 0, next_attempt_at = null
     where symbol = any(health.symbols) and final_at is null;
  end if;
end
$$;

create or replace function plan_reach(p_provider text) returns date language sql stable as $$
  select plan_reaches + (market_today() - plan_seen_on)
    from provider_health where provider = p_provider
$$;

-- Notes the first date that a plan is known to serve; null for no longer known.
create or replace function learn_plan_reach(p_provider text, p_reaches date) returns void language sql as $$
  insert into provider_health (provider, plan_reaches, plan_seen_on)
  values (p_provider, p_reaches, case when p_reaches is not null then market_today() end)
  on conflict (provider) do update set
    plan_reaches = excluded.plan_reaches, plan_seen_on = excluded.plan_seen_on
$$;

-- A window is said to be beyond the plan. Of days that every plan reaches that is a refusal; of older
-- ones an answer, but none that ends a cool-down: in a bad hour everybody is told so.
create or replace function provider_beyond_plan(
  p_provider text, p_symbol text, p_last date, p_code text, p_reason text) returns void
language plpgsql as $$
begin
  if p_provider = 'polygon' and p_last > market_today() - interval '2 years' + interval '7 days'
    and p_last >= coalesce(plan_reach(p_provider), '-infinity') then
    perform provider_failed(p_provider, p_symbol, 'refusal', p_code, p_reason);
    return;
  end if;
  -- Another one finds out.
  update provider_health set probe_symbol = null, probe_until = null
   where provider = p_provider and cooling_until is not null and probe_symbol = p_symbol;
  if not exists (
    select from provider_health where provider = p_provider and cooling_until is not null) then
    perform provider_answered(p_provider, null);
  end if;
end
$$;

revoke all on function
  ask_provider(text,text,boolean,double precision), provider_answered(text,text),
  provider_failed(text,text,text,text,text), plan_reach(text), learn_plan_reach(text,date),
  provider_beyond_plan(text,text,date,text,text)
  from public, anon, authenticated, service_role;
