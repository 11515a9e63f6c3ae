-- Somebody pressed a button: the newest session of a symbol is to be asked for again, though nothing of
-- it is missing. So this is no slice of the queue: percent, counts and the ledger's states stay as they
-- are. However often and by however many it is pressed, a request goes out once a minute at most.
create table rechecks (
  symbol_id uuid primary key references symbols on delete cascade,
  -- The press that the next request answers.
  asked_at timestamptz not null,
  -- Not taken on before.
  due_at timestamptz not null,
  priority integer not null check (priority between 0 and 1000000),
  -- Who works on it; a claim like those of slices.
  claim_id uuid,
  claimed_at timestamptz,
  -- When a request was last about to be sent for it, or was answered.
  request_at timestamptz,
  ended_at timestamptz,
  failures integer not null default 0 check (failures >= 0),
  error text,
  check ((claim_id is null) = (claimed_at is null)),
  check (ended_at is null or claim_id is null)
);
create index rechecks_open on rechecks (priority desc, asked_at) where ended_at is null;
alter table rechecks enable row level security;
revoke all on rechecks from public, anon, authenticated, service_role;
create policy rechecks_read on rechecks for select using (true);
grant select on rechecks to authenticated, service_role;
