-- What people look at. Row-level security: everybody sees and changes the own rows only.

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

revoke all on user_symbol_tracking, watchlists, watchlist_items
  from public, anon, authenticated, service_role;
grant select, insert, update, delete on user_symbol_tracking, watchlists, watchlist_items
  to authenticated, service_role;
