-- From now on only an answer ends a cool-down.
update provider_health set failures = 0, cooling_until = null where cooling_until <= clock_timestamp();

-- Older versions failed slices for what passes.
select requeue_failed(null, true);
