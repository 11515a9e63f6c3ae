"""A Postgres of the benchmarks' own: started in a temporary home, erased afterwards.

What belongs here: the server, databases on it, and the limit that writes are held against: raw
binary COPY. What does not: what is measured.
"""

from __future__ import annotations

import itertools
import tempfile
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from resources.bars.copy_format import COLUMNS
from resources.postgres.database import Database, sibling_database
from resources.postgres.embedded import server as embedded
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_PARTITION = date(2024, 1, 2)
_numbers = itertools.count(1)


class Server:
    """A running embedded server whose database `swiftbolt` is the migrated template."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._url = embedded.start(home).url("swiftbolt")
        migrate(Database(self._url, timedelta(0)), FIRST_PARTITION)

    @property
    def dagster_url(self) -> str:
        """Return the URL of the database beside, which a platform's Dagster would take."""
        return sibling_database(self._url, "_dagster")

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Make an empty migrated database and drop it afterwards."""
        name = f"bench_{next(_numbers)}"
        with self._admin() as admin:
            admin.execute(sql.SQL("create database {} template swiftbolt").format(_quoted(name)))
        try:
            yield Database(self._url.replace("/swiftbolt?", f"/{name}?"), timedelta(0))
        finally:
            with self._admin() as admin:
                admin.execute(sql.SQL("drop database {} with (force)").format(_quoted(name)))

    def settle(self) -> None:
        """Write out what earlier work has left, so that the next measurement does not pay it."""
        with self._admin() as admin:
            admin.execute("checkpoint")

    def _admin(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.dagster_url, autocommit=True)


def _quoted(name: str) -> sql.Identifier:
    return sql.Identifier(name)


@contextmanager
def running() -> Iterator[Server]:
    """Run a server for as long as the benchmarks need it."""
    with tempfile.TemporaryDirectory(prefix="swiftbolt-bench-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        try:
            yield Server(home)
        finally:
            embedded.stop(home)
            embedded.erase(home)


class RawCopy:
    """The limit: a ready PGCOPY buffer into an unlogged table without index."""

    def __init__(self, database: Database) -> None:
        """Take the rows that `database` holds now, with the columns that a write sets."""
        self._database = database
        self._columns = columns = ", ".join(COLUMNS)
        with database.connect() as connection:
            connection.execute("drop table if exists raw_copy")
            connection.execute(
                f"create unlogged table raw_copy as select {columns} from ohlc_bars_v2 limit 0"
            )
            query = f"copy (select {columns} from ohlc_bars_v2 order by 1, 2, 3) to stdout binary"
            with connection.cursor().copy(query) as copy:
                self.buffer = b"".join(bytes(block) for block in copy)
            row = connection.execute("select count(*) from ohlc_bars_v2").fetchone()
            self.rows = int(row[0]) if row else 0

    def prepare(self) -> None:
        """Empty the table."""
        with self._database.connect() as connection:
            connection.execute("truncate raw_copy")

    def run(self) -> None:
        """Load the buffer: connection, COPY and commit."""
        with (
            self._database.transaction() as connection,
            connection.cursor() as cursor,
            cursor.copy(f"copy raw_copy ({self._columns}) from stdin binary") as copy,
        ):
            copy.write(self.buffer)

    def differences(self) -> int:
        """Return in how many rows the bars' table and the loaded copy differ now."""
        bars = self._columns.replace(", fetched_at", "")
        with self._database.connect() as connection:
            row = connection.execute(
                f"select (select count(*) from (select {bars} from ohlc_bars_v2"
                f" except select {bars} from raw_copy) a)"
                f" + (select count(*) from (select {bars} from raw_copy"
                f" except select {bars} from ohlc_bars_v2) b)"
            ).fetchone()
        return int(row[0]) if row else -1

    def loaded(self) -> int:
        """Return how many rows the table holds."""
        with self._database.connect() as connection:
            row = connection.execute("select count(*) from raw_copy").fetchone()
        return int(row[0]) if row else 0
