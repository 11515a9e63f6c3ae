"""Whether a database has what tracking and planning need, asked after a deployment.

What belongs here: read-only questions about the schema's parts. What does not: making them
(`resources/schema.py`, the migrations).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.postgres.database import Database


def missing_parts(database: Database) -> list[str]:
    """Return what tracking needs and the database has not, in words; empty when all is there."""
    with database.transaction() as connection:
        rows = connection.execute(_MISSING).fetchall()
    return [str(row[0]) for row in rows]


def enabled_definitions(database: Database) -> dict[str, int]:
    """Return how many definitions are enabled of each timeframe, in the order h1, h4, m15."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select t.timeframe, count(d.id) from unnest(stored_timeframes()) t (timeframe)"
            " left join job_definitions d on d.timeframe = t.timeframe and d.enabled"
            " group by t.timeframe order by t.timeframe::text"
        ).fetchall()
    return {str(name): count for name, count in rows}


def tick_schedule(database: Database) -> str | None:
    """Return the schedule of the active entry `orchestrator-tick`, None without one we may see."""
    with database.transaction() as connection:
        if connection.execute(_MAY_SEE_CRON).fetchone() is None:
            return None
        row = connection.execute(
            "select schedule from cron.job where jobname = 'orchestrator-tick' and active"
        ).fetchone()
    return str(row[0]) if row else None


_MAY_SEE_CRON = """
select from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'cron' and c.relname = 'job'
   and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
"""
_MISSING = """
select what from (values
  ('table user_symbol_tracking with row-level security', exists (
    select from pg_class where oid = to_regclass('user_symbol_tracking') and relrowsecurity)),
  ('trigger trigger_auto_create_jobs', exists (
    select from pg_trigger
     where tgrelid = to_regclass('user_symbol_tracking') and tgenabled <> 'D'
       and tgname = 'trigger_auto_create_jobs')),
  ('function get_user_tracked_symbols_status',
    to_regprocedure('get_user_tracked_symbols_status(uuid)') is not null),
  ('function get_symbol_timeframe_coverage',
    to_regprocedure('get_symbol_timeframe_coverage(text)') is not null),
  ('function get_timeframe_job_stats',
    to_regprocedure('get_timeframe_job_stats(integer)') is not null)
) parts (what, is_there)
where not is_there
"""
