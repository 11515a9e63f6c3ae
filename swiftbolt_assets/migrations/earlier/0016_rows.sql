update symbol_refusals set fingerprint = refusal_words(message) where fingerprint <> '';

-- A listing and a lost beginning look the same until time has passed.
update session_coverage set
  reason = 'unconfirmed', unconfirmed = expected, doubted_at = clock_timestamp(),
  checked_at = clock_timestamp(), ask_again_at = clock_timestamp() + interval '1 day'
 where state = 'final' and reason = 'not_listed';

-- One refusal was enough for it.
update session_coverage set
  doubted_at = clock_timestamp(), checked_at = clock_timestamp(),
  ask_again_at = clock_timestamp() + interval '4 hours'
 where state = 'final' and reason = 'plan_cut';
