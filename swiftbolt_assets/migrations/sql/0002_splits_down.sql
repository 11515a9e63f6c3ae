drop function get_chart_data_v2(uuid, varchar, timestamptz, timestamptz, boolean);
drop table split_lookups;
