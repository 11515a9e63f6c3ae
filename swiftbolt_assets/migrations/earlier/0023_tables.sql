-- A server may grant everything on whatever is made later (`alter default privileges`, as Supabase
-- does for every project). Tables take that back where they are made; these were left out, among
-- them the table that says how far the schema is. Nobody but the owner needs one of them.
revoke all on alembic_version from public, anon, authenticated, service_role;
revoke all on sequence certificates_id_seq, provider_requests_id_seq, rate_slot_slot_seq,
  rate_waiter_id_seq, rejected_bars_id_seq from public, anon, authenticated, service_role;
