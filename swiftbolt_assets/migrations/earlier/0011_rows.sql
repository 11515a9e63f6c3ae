update splits set
  adjustment_type = case when split_to > split_from then 'forward_split' else 'reverse_split' end;
alter table splits add primary key (symbol_id, execution_date, adjustment_type, ratio);
