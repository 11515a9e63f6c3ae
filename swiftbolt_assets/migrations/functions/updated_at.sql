-- `updated_at` follows every change of a row.

create or replace function touch_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at := now();
  return new;
end
$$;

create or replace trigger symbols_touch before update on symbols
  for each row execute function touch_updated_at();

create or replace trigger ohlc_bars_v2_touch before update on ohlc_bars_v2
  for each row execute function touch_updated_at();

create or replace trigger job_definitions_touch before update on job_definitions
  for each row execute function touch_updated_at();

create or replace trigger job_runs_touch before update on job_runs
  for each row execute function touch_updated_at();

create or replace trigger coverage_status_touch before update on coverage_status
  for each row execute function touch_updated_at();

create or replace trigger user_symbol_tracking_touch before update on user_symbol_tracking
  for each row execute function touch_updated_at();

create or replace trigger watchlists_touch before update on watchlists
  for each row execute function touch_updated_at();
