-- What people look at. Row-level security: everybody sees and changes the own rows only.

-- How much a source of interest counts, and how far back each timeframe goes: the one place of this
-- configuration. An UPDATE counts for interest recorded after it.
create table interest_priorities (
  source text primary key check (source in ('watchlist', 'recent_search', 'chart_view')),
  priority integer not null check (priority between 0 and 1000000)
);
alter table interest_priorities enable row level security;
create policy interest_priorities_read on interest_priorities for select using (true);

create table interest_windows (
  timeframe timeframe primary key check (timeframe in ('m15', 'h1', 'h4')),
  window_days integer not null check (window_days between 1 and 36500)
);
alter table interest_windows enable row level security;
create policy interest_windows_read on interest_windows for select using (true);
revoke all on interest_priorities, interest_windows from public, anon, authenticated, service_role;
grant select on interest_priorities, interest_windows to anon, authenticated, service_role;

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
alter table user_symbol_tracking enable row level security;
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

create table watchlists (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references auth.users on delete cascade,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index watchlists_user on watchlists (user_id);
alter table watchlists enable row level security;
create policy watchlists_own on watchlists for all to authenticated
  using (user_id = auth.uid()) with check (user_id = auth.uid());
create policy watchlists_service on watchlists for all to service_role using (true) with check (true);

create table watchlist_items (
  watchlist_id uuid not null references watchlists on delete cascade,
  symbol_id uuid not null references symbols on delete cascade,
  added_at timestamptz not null default now(),
  primary key (watchlist_id, symbol_id)
);
create index watchlist_items_symbol on watchlist_items (symbol_id);
alter table watchlist_items enable row level security;
create policy watchlist_items_own on watchlist_items for all to authenticated
  using (exists (select from watchlists w where w.id = watchlist_id and w.user_id = auth.uid()))
  with check (exists (select from watchlists w where w.id = watchlist_id and w.user_id = auth.uid()));
create policy watchlist_items_service on watchlist_items for all to service_role
  using (true) with check (true);
revoke all on user_symbol_tracking, watchlists, watchlist_items
  from public, anon, authenticated, service_role;
grant select, insert, update, delete on user_symbol_tracking, watchlists, watchlist_items
  to authenticated, service_role;
