insert into ticker_list default values;
