-- Who watches a symbol hears of it: what changed in the ledger, and how far its slices are. The
-- payload names symbol and days; who hears it asks for the rest.

create function announce_sessions() returns trigger language plpgsql as $$
begin
  perform pg_notify('swiftbolt_news', json_build_object(
      'symbol', s.ticker, 'from', min(m.opens), 'to', max(m.closes))::text)
    from changed c
    join symbols s on s.id = c.symbol_id
    join market_sessions m on m.day = c.day
   group by s.ticker;
  return null;
end
$$;
create trigger session_coverage_added after insert on session_coverage
  referencing new table as changed for each statement execute function announce_sessions();
create trigger session_coverage_changed after update on session_coverage
  referencing new table as changed for each statement execute function announce_sessions();

create function announce_slices() returns trigger language plpgsql as $$
begin
  perform pg_notify('swiftbolt_news', json_build_object('symbol', symbol)::text)
    from changed group by symbol;
  return null;
end
$$;
create trigger job_runs_announced after insert on job_runs
  referencing new table as changed for each statement execute function announce_slices();
create trigger job_runs_changed after update on job_runs
  referencing new table as changed for each statement execute function announce_slices();
revoke all on function announce_sessions(), announce_slices()
  from public, anon, authenticated, service_role;
