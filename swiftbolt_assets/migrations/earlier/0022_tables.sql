-- What another provider has of a session, start -> shares: a dear share's bars are small, and a small
-- one is no silence. Earlier versions kept only starts, of 500 shares or more.
alter table session_coverage drop constraint session_coverage_witness_check;

-- How far back a plan reached on a day of the market's clock; null until it refused older days while
-- it answered newer ones.
alter table provider_health
  add column plan_reaches date, add column plan_seen_on date,
  add constraint plan_is_seen check ((plan_reaches is null) = (plan_seen_on is null));
