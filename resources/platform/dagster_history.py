"""Keeps Dagster's database small without making it forget what is materialized.

Dagster's own deletion of a run takes its materializations along, and with them the partitions that
the UI shows as filled. Here, of a run that is over, everything goes except the materializations
that are the newest of their partition; a newer one takes that place when its own run is pruned. So
the log is bounded by partitions, not by time. The newest outcome of each check stays likewise.

It reaches into Dagster's tables, so it lives alone; `tests/assets/test_retention.py` fails when
Dagster changes them. What belongs here: statements on Dagster's database. What does not: how old
(`policy/retention.py`). Ticks are purged by Dagster itself, as `dagster.yaml` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from resources.postgres.database import Database

#: In one transaction: a run over two years of a symbol has 3,000 events.
_RUNS_AT_ONCE = 50


@dataclass(frozen=True)
class Pruned:
    """What went from Dagster's database."""

    runs: int = 0
    events: int = 0
    backfills: int = 0


class DagsterHistory:
    """Dagster's runs, events and backfills that are over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prune(self, before: datetime, brief: Sequence[str], brief_before: datetime) -> Pruned:
        """Delete what ended before an instant; return how much went.

        Args:
            before: runs and backfills that ended earlier.
            brief: jobs whose runs go sooner,
            brief_before: when they ended before this.

        Raises:
            StorageError: the database does not answer.

        """
        values: dict[str, object] = {
            "before": before.timestamp(),
            "brief": list(brief),
            "brief_before": brief_before.timestamp(),
            "most": _RUNS_AT_ONCE,
        }
        runs = events = 0
        while True:
            with self._database.transaction() as connection:
                found = [str(row[0]) for row in connection.execute(_OLD_RUNS, values).fetchall()]
                batch = {"runs": found}
                if not found:
                    backfills = connection.execute(_BACKFILLS, values).rowcount
                    return Pruned(runs, events, backfills)
                for statement in (_SUPERSEDED, _EVENTS):
                    row = connection.execute(statement, batch).fetchone()
                    events += int(row[0]) if row else 0
                connection.execute(_CHECKS, batch)
                runs += connection.execute(_RUNS, batch).rowcount

    def size(self) -> int:
        """Return the size of the database in bytes."""
        with self._database.transaction() as connection:
            row = connection.execute("select pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


# Times are UTC without a zone, and seconds since 1970.
_OLD_RUNS = """
select run_id from runs
 where status in ('SUCCESS', 'FAILURE', 'CANCELED')
   and coalesce(end_time, extract(epoch from update_timestamp))
     < case when pipeline_name = any(%(brief)s) then %(brief_before)s else %(before)s end
 order by id limit %(most)s
"""
# What these runs' materializations followed, once the runs of those are gone.
_SUPERSEDED = """
with newer as (
  select asset_key, partition, max(id) as id from event_logs
   where run_id = any(%(runs)s) and dagster_event_type = 'ASSET_MATERIALIZATION'
     and asset_key is not null and partition is not null
   group by asset_key, partition
), gone as (
  delete from event_logs e using newer n
   where e.asset_key = n.asset_key and e.partition = n.partition and e.id < n.id
     and e.dagster_event_type = 'ASSET_MATERIALIZATION'
     and not exists (select from runs r where r.run_id = e.run_id)
  returning e.id
), tags as (
  delete from asset_event_tags t using gone g where t.event_id = g.id
)
select count(*) from gone
"""
_EVENTS = """
with gone as (
  delete from event_logs e
   where e.run_id = any(%(runs)s)
     -- Lines of text have no type.
     and (e.dagster_event_type is distinct from 'ASSET_MATERIALIZATION' or exists (
       select from event_logs n
        where n.asset_key = e.asset_key and n.partition = e.partition and n.id > e.id
          and n.dagster_event_type = 'ASSET_MATERIALIZATION'))
  returning e.id
), tags as (
  delete from asset_event_tags t using gone g where t.event_id = g.id
)
select count(*) from gone
"""
_CHECKS = """
delete from asset_check_executions c
 where exists (
     select from asset_check_executions n
      where n.asset_key = c.asset_key and n.check_name = c.check_name
        and n.partition is not distinct from c.partition and n.id > c.id)
   and (c.run_id = any(%(runs)s) or not exists (select from runs r where r.run_id = c.run_id))
"""
_RUNS = "delete from runs where run_id = any(%(runs)s)"
_BACKFILLS = """
with gone as (
  delete from bulk_actions
   where status in ('COMPLETED', 'COMPLETED_SUCCESS', 'COMPLETED_FAILED', 'FAILED', 'CANCELED')
     and extract(epoch from timestamp) < %(before)s
  returning key
), tags as (
  delete from backfill_tags t using gone g where t.backfill_id = g.key
)
select from gone
"""
