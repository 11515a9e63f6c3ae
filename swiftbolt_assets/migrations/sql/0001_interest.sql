-- What people look at, and what follows from it. Row-level security: everybody sees and changes the
-- own rows only.

-- How much a source of interest counts, and how far back each timeframe goes: the one place of this
-- configuration. An UPDATE counts for interest recorded after it.
create table interest_priorities (
  source text primary key check (source in ('watchlist', 'recent_search', 'chart_view')),
  priority integer not null check (priority between 0 and 1000000)
);
insert into interest_priorities values ('watchlist', 300), ('chart_view', 200), ('recent_search', 100);

create table interest_windows (
  timeframe timeframe primary key check (timeframe in ('m15', 'h1', 'h4')),
  window_days integer not null check (window_days between 1 and 36500)
);
insert into interest_windows values ('m15', 30), ('h1', 90), ('h4', 365);

create table user_symbol_tracking (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users on delete cascade,
  symbol_id uuid not null references symbols on delete cascade,
  source text not null check (source in ('watchlist', 'recent_search', 'chart_view')),
  priority integer not null default 100,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, symbol_id, source)
);
create index user_symbol_tracking_symbol on user_symbol_tracking (symbol_id);
create index user_symbol_tracking_source on user_symbol_tracking (source);
create trigger user_symbol_tracking_touch before update on user_symbol_tracking
  for each row execute function touch_updated_at();

-- A row's priority is its source's, whatever a client sends.
create function set_tracking_priority() returns trigger language plpgsql as $$
begin
  new.priority := coalesce(
    (select priority from interest_priorities where source = new.source), new.priority);
  return new;
end
$$;
create trigger user_symbol_tracking_priority before insert or update on user_symbol_tracking
  for each row execute function set_tracking_priority();

-- Interest in a symbol creates or raises its three definitions; it lowers none, and leaves those
-- alone that an operator has pinned. As the owner: people may not write definitions themselves.
create function auto_create_jobs_for_tracked_symbols() returns trigger
language plpgsql security definer as $$
begin
  insert into job_definitions as d (job_type, symbol, timeframe, window_days, priority, enabled)
  select 'fetch_intraday', s.ticker, w.timeframe, w.window_days, new.priority, true
    from symbols s cross join interest_windows w
   where s.id = new.symbol_id
   order by w.timeframe
  on conflict (symbol, timeframe, job_type) do update set
    enabled = true,
    priority = greatest(d.priority, excluded.priority),
    window_days = greatest(d.window_days, excluded.window_days)
  where not d.pinned and (
    not d.enabled or d.priority < excluded.priority or d.window_days < excluded.window_days);
  return new;
end
$$;
do $$
begin
  execute format(
    'alter function auto_create_jobs_for_tracked_symbols() set search_path = %I, pg_temp',
    current_schema());
end
$$;
create trigger trigger_auto_create_jobs after insert or update on user_symbol_tracking
  for each row execute function auto_create_jobs_for_tracked_symbols();

-- A definition names a canonical ticker, and the ticker is a symbol.
create function complete_job_definition() returns trigger language plpgsql as $$
begin
  new.symbol := upper(trim(new.symbol));
  insert into symbols (ticker) values (new.symbol) on conflict (ticker) do nothing;
  return new;
end
$$;
create trigger job_definitions_symbol before insert on job_definitions
  for each row execute function complete_job_definition();

create table watchlists (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users on delete cascade,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index watchlists_user on watchlists (user_id);
create trigger watchlists_touch before update on watchlists
  for each row execute function touch_updated_at();

create table watchlist_items (
  watchlist_id uuid not null references watchlists on delete cascade,
  symbol_id uuid not null references symbols on delete cascade,
  added_at timestamptz not null default now(),
  primary key (watchlist_id, symbol_id)
);
create index watchlist_items_symbol on watchlist_items (symbol_id);

alter table interest_priorities enable row level security;
alter table interest_windows enable row level security;
create policy interest_priorities_read on interest_priorities for select using (true);
create policy interest_windows_read on interest_windows for select using (true);
alter table user_symbol_tracking enable row level security;
alter table watchlists enable row level security;
alter table watchlist_items enable row level security;

create policy tracking_select on user_symbol_tracking for select to authenticated
  using (user_id = auth.uid());
create policy tracking_insert on user_symbol_tracking for insert to authenticated
  with check (user_id = auth.uid());
create policy tracking_update on user_symbol_tracking for update to authenticated
  using (user_id = auth.uid()) with check (user_id = auth.uid());
create policy tracking_delete on user_symbol_tracking for delete to authenticated
  using (user_id = auth.uid());
create policy tracking_service on user_symbol_tracking for all to service_role
  using (true) with check (true);

create policy watchlists_own on watchlists for all to authenticated
  using (user_id = auth.uid()) with check (user_id = auth.uid());
create policy watchlists_service on watchlists for all to service_role using (true) with check (true);
create policy watchlist_items_own on watchlist_items for all to authenticated
  using (exists (select from watchlists w where w.id = watchlist_id and w.user_id = auth.uid()))
  with check (exists (select from watchlists w where w.id = watchlist_id and w.user_id = auth.uid()));
create policy watchlist_items_service on watchlist_items for all to service_role
  using (true) with check (true);

revoke all on interest_priorities, interest_windows from public, anon, authenticated, service_role;
grant select on interest_priorities, interest_windows to anon, authenticated, service_role;
revoke all on user_symbol_tracking, watchlists, watchlist_items
  from public, anon, authenticated, service_role;
grant select, insert, update, delete on user_symbol_tracking, watchlists, watchlist_items
  to authenticated, service_role;
