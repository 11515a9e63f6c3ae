-- How prices are folded by splits, and how long a doubt about them waits.

create or replace function doubt_pause(p_doubts integer) returns interval language sql immutable as $$
  select (array['6 hours', '1 day', '3 days', '7 days', '14 days', '30 days']::interval[])
    [least(p_doubts, 5) + 1]
$$;

-- How many decimals a factor p_up / p_down adds to a number that it is multiplied with
-- (market/splits.py says why).
create or replace function fold_digits(p_up double precision, p_down double precision)
returns integer language plpgsql immutable as $$
declare
  digits integer := 0;
begin
  for digits in 0..6 loop
    if p_up * power(10::float8, digits) / p_down = round(p_up * power(10::float8, digits) / p_down) then
      return digits;
    end if;
  end loop;
  while p_up * power(10::float8, digits) < p_down loop
    digits := digits + 1;
  end loop;
  return digits;
end
$$;

-- A raw price in later shares. One of four decimals at most is multiplied by p_by, rounded, and divided
-- by p_scale, another one likewise by the fine two; p_by is null where no split lies between.
create or replace function fold_price(
  p_raw double precision, p_by double precision, p_scale double precision,
  p_fine_by double precision, p_fine_scale double precision
) returns double precision language sql immutable as $$
  select case
    when p_by is null then p_raw
    when round(p_raw * 1e4::float8) / 1e4::float8 = p_raw then round(p_raw * p_by) / p_scale
    else round(p_raw * p_fine_by) / p_fine_scale
  end
$$;

revoke all on function
  doubt_pause(integer), fold_digits(double precision,double precision),
  fold_price(double precision,double precision,double precision,double precision,double precision)
  from public, anon, authenticated, service_role;
grant execute on function
  fold_digits(double precision,double precision),
  fold_price(double precision,double precision,double precision,double precision,double precision)
  to anon, authenticated, service_role;
