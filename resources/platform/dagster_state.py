"""What Dagster's database holds, asked without Dagster: importing it costs seconds.

It reads Dagster's tables, so it lives alone; `tests/assets/test_dagster_state.py` fails when
Dagster changes them. What belongs here: questions. What does not: changing anything
(`dagster_history.py` deletes, `orchestration/instance.py` creates).
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from resources.postgres.recorded import recorded_revision

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from resources.postgres.database import Database

_REVISION = re.compile(r'^(down_revision|revision)\s*(?::[^=]+)?=\s*["\']([0-9a-f]+)', re.MULTILINE)
#: The tag of a run that lives below a code server and dies with it.
BELOW_CODE_SERVER = ".dagster/grpc_info"
#: What a run writes.
_WRITTEN = ("runs", "run_tags", "event_logs", "asset_keys", "daemon_heartbeats")


class DagsterState:
    """Dagster's schema, partitions and materializations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def revision(self) -> str | None:
        """Return the schema's revision, None for an empty database.

        Raises:
            StorageError: the database does not answer, or is another application's.

        """
        return recorded_revision(self._database, "event_logs", "SWIFTBOLT_DAGSTER_URL")

    def is_newest(self) -> bool:
        """Return whether the schema is the one that the installed Dagster makes.

        Raises:
            StorageError: the database does not answer, or has no such schema.

        """
        with self._database.transaction() as connection:
            rows = connection.execute("select version_num from alembic_version").fetchall()
        return {str(revision) for (revision,) in rows} == newest_revisions()

    def probe(self) -> None:
        """Write what runs write, of nothing.

        Raises:
            StorageError: the database refuses that, or does not answer.

        """
        with self._database.transaction() as connection:
            for table in _WRITTEN:
                connection.execute(f"insert into {table} select * from {table} limit 0".encode())  # noqa: S608 - constants

    def has_partitions(self, wanted: Mapping[str, Collection[str]]) -> bool:
        """Return whether all of some partitions are there, by the name of their set.

        Raises:
            StorageError: the database does not answer.

        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                "select partitions_def_name, partition from dynamic_partitions"
                " where partitions_def_name = any(%s)",
                (list(wanted),),
            ).fetchall()
        there = {(str(name), str(partition)) for name, partition in rows}
        return all((name, one) in there for name, those in wanted.items() for one in those)

    def runs_under_way(self) -> dict[str, bool]:
        """Return the runs that Dagster takes for alive, and whether each is below a code server.

        Raises:
            StorageError: the database does not answer.

        """
        with self._database.transaction() as connection:
            rows = connection.execute(_UNDER_WAY, (BELOW_CODE_SERVER,)).fetchall()
        return {str(run_id): bool(is_below) for run_id, is_below in rows}

    def has_materialized(self, assets: Iterable[str], partitions: Collection[str]) -> bool:
        """Return whether each of some partitions is materialized, in each of some assets.

        Raises:
            StorageError: the database does not answer.

        """
        keys = [json.dumps([asset]) for asset in assets]
        with self._database.transaction() as connection:
            row = connection.execute(_MATERIALIZED, (keys, list(partitions))).fetchone()
        return bool(row and row[0] == len(keys) * len(set(partitions)))


def newest_revisions() -> set[str]:
    """Return the ends of the installed Dagster's migrations, as its files name them."""
    spec = find_spec("dagster")
    if spec is None or spec.origin is None:
        return set()
    versions = Path(spec.origin).parent / "_core" / "storage" / "alembic" / "versions"
    found = [
        dict(_REVISION.findall(path.read_text("utf-8"))) for path in sorted(versions.glob("*.py"))
    ]
    followed = {one.get("down_revision") for one in found}
    return {one["revision"] for one in found if "revision" in one} - followed


_UNDER_WAY = """
select run_id,
       exists (select from run_tags where run_tags.run_id = runs.run_id and run_tags.key = %s)
  from runs where status in ('STARTING', 'STARTED', 'CANCELING') order by runs.id desc
"""
_MATERIALIZED = """
select count(*) from (
  select distinct asset_key, partition from event_logs
   where dagster_event_type = 'ASSET_MATERIALIZATION'
     and asset_key = any(%s) and partition = any(%s)) found
"""
