-- What one answer settled is asked for again, and refusals are compared by their words.

-- A refusal's words without what differs from day to day: numbers, dates, and the references that some
-- providers add, which hold a digit or are long.
create function refusal_words(p_message text) returns text language sql immutable parallel safe
  return btrim(regexp_replace(
    regexp_replace(lower(p_message), '[a-z0-9_-]*[0-9][a-z0-9_-]*|[a-z0-9_-]{24,}', '#', 'g'),
    '[^a-z#]+', ' ', 'g'));
revoke all on function refusal_words(text) from public, anon, authenticated, service_role;
update symbol_refusals set fingerprint = refusal_words(message) where fingerprint <> '';

-- Notes that a symbol was refused; returns whether that is final, and until when it waits otherwise.
-- Final is what came again in the same words after hours while others were answered, both times; or,
-- where no other was asked in between, a day later.
create or replace function note_refusal(p_symbol text, p_code text, p_message text,
  out is_final boolean, out next_at timestamptz, out next_market_at timestamptz)
language plpgsql as $$
declare
  at timestamptz := market_now();
  print text := refusal_words(p_message);
  known symbol_refusals;
  pause interval;
begin
  insert into symbol_refusals
    (symbol, error_code, message, fingerprint, refusals, first_refused_at, last_refused_at)
  values (p_symbol, p_code, p_message, print, 0, at, at) on conflict (symbol) do nothing;
  select * into strict known from symbol_refusals where symbol = p_symbol for update;
  -- Also where the clock was set back.
  if known.fingerprint <> print or known.first_refused_at > at then
    known.first_refused_at := at;
  end if;
  is_final := (at - known.first_refused_at >= interval '4 hours'
      and others_answered(p_symbol, known.first_refused_at) and others_answered(p_symbol, at))
    or (at - known.first_refused_at >= interval '1 day' and not exists (
      select from provider_requests
       where provider = 'polygon' and symbol <> p_symbol and endpoint like '/v2/aggs/%'
         and coalesce(market_at, sent_at) between known.first_refused_at and at));
  pause := refusal_delay(known.refusals + 1);
  if not is_final and not others_answered(p_symbol, known.first_refused_at) then
    -- It proves nothing, and so nothing is gained by asking four hours after it.
    known.first_refused_at := at;
    if pause = interval '4 hours' then
      pause := interval '1 day';
    end if;
  end if;
  if not is_final then
    next_at := clock_timestamp() + pause;
    next_market_at := case when pause >= interval '1 hour' then at + pause end;
  end if;
  update symbol_refusals set error_code = p_code, message = p_message, fingerprint = print,
    refusals = known.refusals + 1, first_refused_at = known.first_refused_at, last_refused_at = at,
    next_attempt_at = next_at, next_attempt_market_at = next_market_at,
    final_at = case when is_final then at end
   where symbol = p_symbol;
end
$$;

-- A window is said to be beyond the plan. Of days that every plan reaches that is a refusal; of older
-- ones an answer, but none that ends a cool-down: in a bad hour everybody is told so.
create function provider_beyond_plan(
  p_provider text, p_symbol text, p_last date, p_code text, p_reason text) returns void
language plpgsql as $$
begin
  if p_provider = 'polygon' and p_last > market_today() - interval '2 years' + interval '7 days' then
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
revoke all on function provider_beyond_plan(text, text, date, text, text)
  from public, anon, authenticated, service_role;

-- A listing and a lost beginning look the same until time has passed.
update session_coverage set
  reason = 'unconfirmed', unconfirmed = expected, doubted_at = clock_timestamp(),
  checked_at = clock_timestamp(), ask_again_at = clock_timestamp() + interval '1 day'
 where state = 'final' and reason = 'not_listed';
-- One refusal was enough for it.
update session_coverage set
  doubted_at = clock_timestamp(), checked_at = clock_timestamp(),
  ask_again_at = clock_timestamp() + interval '4 hours'
 where state = 'final' and reason = 'plan_cut';
