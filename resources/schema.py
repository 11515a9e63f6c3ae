"""Brings a bars' database to the newest schema.

`migrate` may run twice at once and at any time: an advisory lock makes the second wait, and
everything it does is repeatable. What belongs here: migrations and the facts that follow the code
(calendar, month partitions). What does not: Dagster's own schema (`orchestration/instance.py`).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg

from resources.postgres.connection import first_line
from resources.postgres.recorded import recorded_revision
from resources.postgres.rights import take_rights
from resources.providers.registry import PROVIDERS
from swiftbolt_assets.errors import ConfigurationError, StorageError
from swiftbolt_assets.migrations.plain_sql import (
    bring_over,
    earlier_revisions,
    functions_version,
    install_functions,
)
from swiftbolt_assets.settings import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from alembic.config import Config

    from resources.postgres.database import Database
    from resources.providers.capabilities import Capabilities

MINIMUM_VERSION = 150000
_VERSION = re.compile(r"\d{4}_\w+\.py")
_LOCK = "select pg_advisory_xact_lock(hashtextextended('swiftbolt migrate', 0))"
#: What a migration is to make is there already.
_TAKEN = (
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateObject,
    psycopg.errors.DuplicateFunction,
)
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
    from resources.bars.calendar_changes import write_sessions

    with database.transaction() as lock:
        version = lock.info.server_version
        if version < MINIMUM_VERSION:
            raise StorageError(
                f"SWIFTBOLT_DATABASE_URL: the server is Postgres {version // 10000}; "
                "15 is the oldest that works"
            )
        lock.execute(_LOCK)
        before = revision(database)
        _prepare(database)
        after = _upgrade(database, before)
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
    """Return the schema's revision, or None for a database without our schema.

    Raises:
        StorageError: the revision is another application's, whatever it reads.

    """
    return recorded_revision(database, "ohlc_bars_v2", "SWIFTBOLT_DATABASE_URL")


def is_newest(database: Database) -> bool:
    """Tell whether a database has the revision and the functions that this code needs."""
    return revision(database) == newest_revision() and has_newest_functions(database)


def has_newest_functions(database: Database) -> bool:
    """Tell whether the functions of a database of the newest revision are this code's."""
    with database.transaction() as connection:
        return _has_newest_functions(connection)


def _has_newest_functions(connection: psycopg.Connection) -> bool:
    row = connection.execute("select value from installation where name = 'functions'").fetchone()
    return row is not None and row[0] == functions_version()


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
    """Return every revision that this code knows, those before the baseline included.

    A file is named after its revision and they are numbered in order, which tests hold against
    Alembic's own reading: importing Alembic would cost every command 0.4 s.
    """
    versions = files("swiftbolt_assets.migrations").joinpath("versions")
    names = (found.name for found in versions.iterdir())
    known = {name.partition("_")[0] for name in names if _VERSION.fullmatch(name)}
    return known | earlier_revisions()


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
            f"set {' or '.join(map(_named, PROVIDERS))}"
            if wanted == "simulated"
            else f"unset {', '.join(KEYS[:-1])} and {KEYS[-1]}"
        )
        raise ConfigurationError(
            f"SWIFTBOLT_DATABASE_URL: this database holds {held} bars and will not take {wanted} "
            f"ones; {remedy}, or use another SWIFTBOLT_HOME or database"
        )


def _named(provider: Capabilities) -> str:
    others = "".join(f" (or {name}, its other name)" for name in provider.key_variables[1:])
    return f"{provider.key_variable}{others}"


def _kind(*, simulated: bool) -> str:
    return "simulated" if simulated else "real"


def _upgrade(database: Database, before: str | None) -> str:
    earlier = earlier_revisions()
    if before is not None and before < min(earlier):
        raise StorageError(
            f"SWIFTBOLT_DATABASE_URL: the database is of schema {before}, and {min(earlier)} is "
            "the oldest that is brought over; use an empty one, bars are fetched again"
        )
    with _refusals_told():
        if before in earlier:
            with database.transaction() as connection:
                bring_over(connection, before)
        _run_alembic(database)
        with database.transaction() as connection:
            if not _has_newest_functions(connection):
                install_functions(connection)
    after = revision(database)
    if after is None:
        raise StorageError("the migrations ran but left no revision behind; see the log")
    return after


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "swiftbolt_assets:migrations")
    return config


def _run_alembic(database: Database) -> None:
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
            command.upgrade(config, "head")
            connection.commit()
    except CommandError as error:
        raise StorageError(
            f"database: {first_line(error)}; it was made by a newer version, upgrade this one"
        ) from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise error.__cause__ or error from None


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Tell in one line what the server refused of a migration."""
    try:
        yield
    except psycopg.Error as error:
        is_taken = isinstance(error, _TAKEN)
        advice = "; another application made it, use a database of its own" if is_taken else ""
        raise StorageError(
            f"database: the migration was refused: {first_line(error)}{advice}"
        ) from error
