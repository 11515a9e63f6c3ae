update job_definitions d set origin = 'interest'
 where not d.pinned and exists (
   select from user_symbol_tracking t join symbols s on s.id = t.symbol_id
    where s.ticker = d.symbol);

-- Where an operator has been, the row's time says so; seeding took one transaction.
update job_definitions d set origin = 'seed'
 where d.job_type = 'fetch_intraday' and d.origin = 'asked' and not d.pinned
   and d.created_at = d.updated_at
   and (d.priority < 100 or (d.symbol, d.timeframe, d.priority, d.window_days) = ('AAPL', 'm15', 200, 730));

-- The place that it was announced with, a moment ago where the database is new.
delete from rate_waiter where holder like 'announced %';
