"""`swiftbolt backup`: both databases in one file, while everything runs.

Each database is dumped as it was at one instant, the two instants milliseconds apart, the bars'
first. What Dagster may know beyond the bars is then asked for again when work resumes; the other
way round, sessions would stay unreported for ever. To what is restored from it, it is as if every
process had been killed at that instant.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swiftbolt_assets.cli.installation import opened
from swiftbolt_assets.cli.transfer import transferred
from swiftbolt_assets.errors import SwiftBoltError, UsageError

if TYPE_CHECKING:
    from resources.postgres.backup.archive import Description
    from resources.postgres.database import Database

_MB = 1_000_000


def run_backup(target: str, *, force: bool) -> None:
    """Write the file.

    Raises:
        UsageError: the file is there already.
        SwiftBoltError: there is nothing to back up, or it cannot be written.

    """
    path = Path(target)
    if path.exists() and not force:
        raise UsageError(f"FILE: {path} is there already; name another, or use --force")

    from resources.postgres.backup.archive import BARS, DAGSTER, part_to_write, written
    from resources.postgres.backup.dump import dump
    from resources.postgres.backup.swap import snapshots
    from swiftbolt_assets.orchestration.instance import plain_dagster_url

    with opened() as installation:
        url = installation.database.url
        dagster = plain_dagster_url(installation.settings)
        description = _describe(installation.database, dagster)
        # The file last, so that it is cut short only by what happens while it is written.
        with ExitStack() as stack:
            taken = stack.enter_context(snapshots([url, dagster]))
            archive = stack.enter_context(written(path, description))
            for name, source, snapshot in (
                (BARS, url, taken[0]),
                (DAGSTER, dagster, taken[1]),
            ):
                with part_to_write(archive, name) as part, transferred(name) as tell:
                    dump(source, snapshot, part, tell)
    click.echo(f"{path}: {path.stat().st_size / _MB:.1f} MB, schema {description.schema}")


def _describe(database: Database, dagster_url: str) -> Description:
    from resources.bars.overview import data_source
    from resources.platform.dagster_state import DagsterState
    from resources.postgres.backup.archive import Description
    from resources.postgres.database import Database
    from resources.schema import revision

    schema = revision(database)
    if schema is None:
        raise SwiftBoltError("there is nothing to back up: this installation has no bars yet")
    with database.connect() as connection:
        server = connection.info.server_version // 10000
    return Description(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("swiftbolt"),
        schema=schema,
        dagster_schema=DagsterState(Database(dagster_url, database.clock_offset)).revision(),
        data_source=data_source(database),
        postgres=server,
    )
