-- What was said with one witness: that nothing was traded where many trades were usual, and that the
-- provider has nothing. It is in doubt now.
update session_coverage c set
  reason = case when reason in ('halted', 'provider_empty') then 'unconfirmed' else reason end,
  absences = a.absences,
  unconfirmed = case when c.bars = 0 then c.expected else a.doubted end,
  doubted_at = clock_timestamp(),
  checked_at = clock_timestamp(),
  ask_again_at = clock_timestamp() + interval '4 hours'
  from (
    select s.symbol_id, s.day,
      coalesce(jsonb_object_agg(
        e.key, case when e.value = 'halted' then 'unconfirmed' else e.value end)
        filter (where e.key is not null), '{}') as absences,
      count(*) filter (where e.value = 'halted') as doubted
      from session_coverage s left join jsonb_each_text(s.absences) e on true
     where s.state = 'final'
       and (s.reason in ('halted', 'provider_empty') or s.absences::text like '%"halted"%')
     group by s.symbol_id, s.day
  ) a
 where c.symbol_id = a.symbol_id and c.day = a.day;
