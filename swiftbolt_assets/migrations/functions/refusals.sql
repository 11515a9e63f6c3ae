-- What was refused of a symbol, and when that is final.

-- A refusal's words without what differs from day to day: numbers, dates, and the references that some
-- providers add, which hold a digit or are long.
create or replace function refusal_words(p_message text) returns text language sql immutable parallel safe
  return btrim(regexp_replace(
    regexp_replace(lower(p_message), '[a-z0-9_-]*[0-9][a-z0-9_-]*|[a-z0-9_-]{24,}', '#', 'g'),
    '[^a-z#]+', ' ', 'g'));

-- How long after its n-th refusal a symbol or slice waits.
create or replace function refusal_delay(p_refusals integer) returns interval language sql immutable parallel safe
  return (array['1 minute', '15 minutes', '4 hours', '1 day']::interval[])[least(greatest(p_refusals, 1), 4)];

-- Whether bars of another symbol were answered around an instant of the market clock.
create or replace function others_answered(p_symbol text, p_at timestamptz) returns boolean language sql stable as $$
  select exists (
    select from provider_requests
     where outcome = 'ok' and provider = 'polygon' and symbol <> p_symbol
       and endpoint like '/v2/aggs/%'
       and market_at between p_at - interval '15 minutes' and p_at + interval '15 minutes')
$$;

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

-- Another symbol is answered: that may be what a refusal of this moment, too, lacked to be final.
create or replace function give_up_refused(p_answered text) returns void language plpgsql as $$
declare
  refused record;
begin
  for refused in
    select f.symbol from symbol_refusals f
     where f.final_at is null and f.symbol <> p_answered
       and f.last_refused_at between market_now() - interval '15 minutes' and market_now()
       and f.last_refused_at - f.first_refused_at >= interval '4 hours'
       and others_answered(f.symbol, f.first_refused_at)
     order by f.symbol for update
  loop
    update symbol_refusals set final_at = market_now(), next_attempt_at = null,
      next_attempt_market_at = null
     where symbol = refused.symbol;
    with held as materialized (
      select r.id from job_runs r
       where r.symbol = refused.symbol and r.status = 'queued' and r.claim_id is null
       order by r.id for update
    )
    update job_runs r set status = 'failed', finished_at = clock_timestamp(),
      next_attempt_at = null, next_attempt_market_at = null
      from held where r.id = held.id;
  end loop;
end
$$;

revoke all on function
  refusal_words(text), refusal_delay(integer), others_answered(text,timestamptz),
  note_refusal(text,text,text), give_up_refused(text)
  from public, anon, authenticated, service_role;
