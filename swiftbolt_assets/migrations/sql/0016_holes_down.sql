-- As it was: one answer settles a beginning and a plan, and refusals are compared but for digits.
update session_coverage set doubted_at = null, ask_again_at = null where reason = 'plan_cut';
drop function provider_beyond_plan(text, text, date, text, text);
create or replace function note_refusal(p_symbol text, p_code text, p_message text,
  out is_final boolean, out next_at timestamptz, out next_market_at timestamptz)
language plpgsql as $$
declare
  at timestamptz := market_now();
  print text := regexp_replace(p_message, '[0-9]+', '#', 'g');
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
update symbol_refusals set fingerprint = regexp_replace(message, '[0-9]+', '#', 'g')
 where fingerprint <> '';
drop function refusal_words(text);
