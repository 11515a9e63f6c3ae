-- A budget that a provider's replies name outlasts the process that learned it.

-- The setting that the limit began with; null until a process has said it.
alter table rate_limit add column began_with integer check (began_with >= 1);

-- Sets a limit that the provider's replies correct later, and returns the one that holds: what they
-- have named stands, also for processes that start afterwards, until the setting itself changes.
create function rate_begin(p_name text, p_n integer, p_window_s double precision)
returns integer language sql as $$
  insert into rate_limit (name, n, window_s, began_with)
  values (p_name, p_n, p_window_s, p_n)
  on conflict (name) do update
    set n = excluded.n, window_s = excluded.window_s, began_with = excluded.began_with,
      changed_at = clock_timestamp()
    where rate_limit.began_with is distinct from excluded.began_with;
  select n from rate_limit where name = p_name
$$;
revoke all on function rate_begin(text, integer, double precision)
  from public, anon, authenticated, service_role;
