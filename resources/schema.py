"""Brings a bars' database to the newest schema.

`migrate` may run twice at once and at any time: an advisory lock makes the second wait, and
everything it does is repeatable. What belongs here: migrations and the facts that follow the code
(calendar, month partitions). What does not: Dagster's own schema (`orchestration/instance.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg

from resources.connecting import first_line
from resources.rights import take_rights
from swiftbolt_assets.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from datetime import date

    from alembic.config import Config

    from resources.postgres import Database

MINIMUM_VERSION = 150000
_VERSION = re.compile(r"\d{4}_\w+\.py")
_LOCK = "select pg_advisory_xact_lock(hashtextextended('swiftbolt migrate', 0))"
#: Partitions stand ready for so long ahead: forecasts lie in the future.
_AHEAD = timedelta(days=400)


@dataclass(frozen=True)
class Migrated:
    """What a migration did.

    Attributes:
        before: the schema's revision before, None for an empty database.
        after: its revision now.
        partitions_added: month partitions that were missing.

    """

    before: str | None
    after: str
    partitions_added: int


def migrate(database: Database, first_date: date) -> Migrated:
    """Upgrade the schema, the calendar table and the month partitions.

    Raises:
        StorageError: the server is too old, unreachable, or refuses a statement.

    """
    # It judges splits anew, with frames, which cost a command half a second.
    from resources.calendar_changes import write_sessions

    with database.transaction() as lock:
        version = lock.info.server_version
        if version < MINIMUM_VERSION:
            raise StorageError(
                f"SWIFTBOLT_DATABASE_URL: the server is Postgres {version // 10000}; "
                "15 is the oldest that works"
            )
        lock.execute(_LOCK)
        _prepare(database)
        before = revision(database)
        after = _upgrade(database)
        with database.transaction() as connection:
            write_sessions(connection)
            connection.execute(
                "insert into installation (name, value) values ('first_date', %s)"
                " on conflict (name) do update set value = excluded.value"
                " where installation.value <> excluded.value",
                (first_date.isoformat(),),
            )
            row = connection.execute(
                "select ensure_bar_partitions(%s, market_now() + %s)", (first_date, _AHEAD)
            ).fetchone()
        return Migrated(before, after, row[0] if row else 0)


def _prepare(database: Database) -> None:
    """Take the rights that the rest needs.

    Raises:
        StorageError: one is missing, or the database cannot hold every text.

    """
    with database.connect() as connection:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StorageError(
                f"SWIFTBOLT_DATABASE_URL: the database's encoding is {encoding}; "
                "create it with encoding 'UTF8'"
            )
        try:
            take_rights(connection)
        except psycopg.Error as error:
            raise StorageError(f"database: {first_line(error)}") from error


def revision(database: Database) -> str | None:
    """Return the schema's revision, or None for a database without our schema."""
    with database.transaction() as connection:
        if connection.execute("select to_regclass('alembic_version')").fetchone() == (None,):
            return None
        row = connection.execute("select version_num from alembic_version").fetchone()
        return str(row[0]) if row else None


def newest_revision() -> str:
    """Return the revision that this code needs.

    Raises:
        StorageError: the migrations are missing.

    """
    found = revisions()
    if not found:
        raise StorageError("the migrations are missing from this installation; install it again")
    return max(found)


def revisions() -> set[str]:
    """Return every revision that this code knows.

    A file is named after its revision and they are numbered in order, which tests hold against
    Alembic's own reading: importing Alembic would cost every command 0.4 s.
    """
    versions = files("swiftbolt_assets.migrations").joinpath("versions")
    names = (found.name for found in versions.iterdir())
    return {name.partition("_")[0] for name in names if _VERSION.fullmatch(name)}


def downgrade(database: Database, to: str) -> None:
    """Take the schema back to a revision (`base` for none); data of later ones is lost."""
    _run_alembic(database, "downgrade", to)


def claim_data_source(database: Database, *, simulated: bool) -> None:
    """Remember whether this database holds simulated or real bars; refuse to mix them.

    Raises:
        ConfigurationError: it holds the other kind.

    """
    with database.transaction() as connection:
        connection.execute(
            "insert into installation (name, value) values ('data_source', %s)"
            " on conflict (name) do nothing",
            (_kind(simulated=simulated),),
        )
        _require_kind(connection, _kind(simulated=simulated))


def require_data_source(database: Database, *, simulated: bool) -> None:
    """Refuse to look at bars of the other kind, and write nothing.

    Raises:
        ConfigurationError: the database holds the other kind.

    """
    with database.transaction() as connection:
        _require_kind(connection, _kind(simulated=simulated))


def _require_kind(connection: psycopg.Connection, wanted: str) -> None:
    row = connection.execute("select value from installation where name = 'data_source'").fetchone()
    held = row[0] if row else wanted
    if held != wanted:
        remedy = (
            "set POLYGON_API_KEY (or MASSIVE_API_KEY, its other name) or TRADIER_TOKEN"
            if wanted == "simulated"
            else "unset POLYGON_API_KEY, MASSIVE_API_KEY and TRADIER_TOKEN"
        )
        raise ConfigurationError(
            f"SWIFTBOLT_DATABASE_URL: this database holds {held} bars and will not take {wanted} "
            f"ones; {remedy}, or use another SWIFTBOLT_HOME or database"
        )


def _kind(*, simulated: bool) -> str:
    return "simulated" if simulated else "real"


def _upgrade(database: Database) -> str:
    _run_alembic(database, "upgrade", "head")
    after = revision(database)
    if after is None:
        raise StorageError("the migrations ran but left no revision behind; see the log")
    return after


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "swiftbolt_assets:migrations")
    return config


def _run_alembic(database: Database, action: str, target: str) -> None:
    import sqlalchemy
    from alembic import command
    from alembic.util import CommandError

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: database.connect(autocommit=False),
        poolclass=sqlalchemy.NullPool,
    )
    config = _config()
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(command, action)(config, target)
            connection.commit()
    except CommandError as error:
        raise StorageError(
            f"database: {first_line(error)}; it was made by a newer version, upgrade this one"
        ) from error
    except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error) as error:
        raise StorageError(f"database: the migration was refused: {first_line(error)}") from error
