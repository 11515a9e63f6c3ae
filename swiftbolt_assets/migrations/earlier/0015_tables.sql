-- What no person looks at never delays what one does.

-- Whose idea a definition is: the installation's own, until anybody asks for it or changes it; tracked
-- interest's, which may end; or of somebody who asked by name, and means the priority that it has.
alter table job_definitions add column origin text not null default 'asked'
  check (origin in ('seed', 'interest', 'asked'));
drop function if exists rate_try(text, bigint, integer, integer, double precision, text, integer, double precision);
