-- The timeframes whose bars are stored, how long these are, and what people call them.

-- Days and weeks are folded when they are read.
create or replace function stored_timeframes() returns timeframe[]
language sql immutable parallel safe as $$
  select array['m15', 'h1', 'h4']::timeframe[]
$$;

-- How long a bar is, none for days and weeks; a session's last one may be shorter.
create or replace function timeframe_width(p_timeframe timeframe) returns interval
language sql immutable parallel safe as $$
  select case p_timeframe
    when 'm15' then interval '15 minutes'
    when 'h1' then interval '1 hour'
    when 'h4' then interval '4 hours'
  end
$$;

-- The timeframe that a caller wrote, aliases included (market/timeframes.py holds the same ones).
create or replace function parse_timeframe(p_timeframe text) returns timeframe
language plpgsql immutable parallel safe as $$
declare
  token text := lower(btrim(p_timeframe));
begin
  token := case token
    when '15m' then 'm15' when '15min' then 'm15'
    when '1h' then 'h1' when '60m' then 'h1'
    when '4h' then 'h4' when '240m' then 'h4'
    else token
  end;
  if token = any(enum_range(null::timeframe)::text[]) then
    return token::timeframe;
  end if;
  raise exception using
    errcode = 'invalid_parameter_value',
    message = format(
      'timeframe: %L is unknown; use one of %s',
      left(p_timeframe, 20), array_to_string(enum_range(null::timeframe), ', '));
end
$$;

revoke all on function
  stored_timeframes(), timeframe_width(timeframe), parse_timeframe(text)
  from public, anon, authenticated, service_role;
grant execute on function
  stored_timeframes(), timeframe_width(timeframe), parse_timeframe(text)
  to anon, authenticated, service_role;
