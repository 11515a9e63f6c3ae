"""`swiftbolt restore`: both databases from the file of a backup, wholly or not at all.

They are loaded beside the present ones, brought to the newest schema, and take their places in one
transaction. What was under way at the backup counts as killed then: the platform takes it up again.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swiftbolt_assets.cli.installation import opened
from swiftbolt_assets.cli.transfer import transferred
from swiftbolt_assets.errors import SwiftBoltError, UsageError
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator, Sequence

    from resources.postgres.backup.archive import Description
    from resources.postgres.backup.swap import Replaced
    from swiftbolt_assets.settings import Settings


def run_restore(source: str, *, force: bool) -> None:
    """Restore, and say what is there now.

    Raises:
        UsageError: the file is no backup, or of a newer version; or something would be overwritten.
        SwiftBoltError: a platform runs, the databases are in use, or they cannot be loaded.

    """
    from resources.postgres.backup.archive import opened as opened_archive
    from resources.postgres.backup.swap import replaced
    from swiftbolt_assets.orchestration.instance import plain_dagster_url, prepare_dagster
    from swiftbolt_assets.orchestration.platform.presence import platform_lock

    path = Path(source)
    settings = read_settings()
    with opened_archive(path) as (archive, description):
        _require_known(path, description)
        with platform_lock(settings), opened(settings) as installation:
            urls = (installation.database.url, plain_dagster_url(settings))
            ones = [replaced(url) for url in urls]
            _require_replaceable(settings, ones, force=force)
            with _incoming(ones):
                _load(settings, archive, ones)
            prepare_dagster(settings, installation.database)
    held = f"{description.data_source or 'no'} bars"
    click.echo(f"restored what {path} holds: {held} of {description.made_at}")


def _require_known(path: Path, description: Description) -> None:
    from resources.schema import revisions
    from swiftbolt_assets.dagster_private.schema import dagster_revisions

    for schema, known in (
        (description.schema, revisions()),
        (description.dagster_schema, dagster_revisions()),
    ):
        if schema is not None and schema not in known:
            raise UsageError(
                f"FILE: {path} was made by a newer version ({description.version}, schema "
                f"{schema}); upgrade this one"
            )


def _require_replaceable(settings: Settings, ones: Sequence[Replaced], *, force: bool) -> None:
    from resources.postgres.backup.swap import is_empty, users

    for one in ones:
        if not (force or is_empty(one)):
            raise UsageError(
                f"FILE: {settings.home} has a database {one.name} already; --force replaces it, "
                "SWIFTBOLT_HOME or SWIFTBOLT_DATABASE_URL names another place"
            )
        if count := users(one):
            raise SwiftBoltError(
                f"database {one.name}: {count} connections use it; end the commands and tools that "
                "hold them"
            )


@contextmanager
def _incoming(ones: Sequence[Replaced]) -> Iterator[None]:
    """Make databases to load into; put them in place when that went well, else drop them."""
    from resources.postgres.backup.swap import drop_leftovers, make_incoming, swap

    make_incoming(ones)
    try:
        yield
        swap(ones)
    finally:
        drop_leftovers(ones)


def _load(settings: Settings, archive: zipfile.ZipFile, ones: Sequence[Replaced]) -> None:
    from resources.postgres.backup.archive import BARS, DAGSTER
    from resources.postgres.backup.dump import load
    from resources.postgres.backup.swap import close_budgets
    from resources.postgres.database import Database
    from resources.schema import migrate

    for name, one in zip((BARS, DAGSTER), ones, strict=True):
        total = archive.getinfo(name).file_size
        with archive.open(name) as part, transferred(name, total) as tell:
            load(one.incoming, part, tell)
    bars = ones[0].incoming
    migrate(Database(bars, settings.clock.offset), settings.first_date)
    close_budgets(bars)
