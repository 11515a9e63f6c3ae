-- What was rejected stays rejected: its sessions are asked for again by any version.
alter table ohlc_bars_v2 drop constraint bar_traded;
create or replace function provider_beyond_plan(
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
drop function plan_reach(text), learn_plan_reach(text, date);
alter table provider_health drop column plan_reaches, drop column plan_seen_on;
alter table session_coverage drop constraint session_coverage_witness_check;
update session_coverage set witness = coalesce((
    select jsonb_agg(key) from jsonb_each(witness) where value::float8 >= 500), '[]')
 where witness is not null;
alter table session_coverage add constraint session_coverage_witness_check
  check (jsonb_typeof(witness) = 'array');
