"""Connections to the bars' database.

What belongs here: who holds a connection for how long. What does not: how one begins
(`connection.py`), the embedded server (`postgres/embedded/server.py`), the schema (`schema.py`),
statements about bars (`bars/store.py`, `bars/ledger.py`).
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from resources.postgres.connection import connect, first_line
from swiftbolt_assets.database_url import DatabaseUrl
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta


@dataclass(frozen=True)
class Database:
    """Where the bars live.

    Attributes:
        url: `postgresql://…`.
        clock_offset: what the market clock adds to real time.
        variable: the setting that names it, for errors.

    """

    url: str = field(repr=False)
    clock_offset: timedelta
    variable: str = field(default="SWIFTBOLT_DATABASE_URL", kw_only=True)

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection.

        Raises:
            StorageError: the server does not answer or refuses.
            ConfigurationError: the URL leads to a pooler without sessions.

        """
        try:
            return connect(
                self.url,
                clock_offset=self.clock_offset,
                autocommit=autocommit,
                variable=self.variable,
            )
        except psycopg.Error as error:
            raise StorageError(f"database: {first_line(error)}") from error

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Open a connection, run one transaction on it, close it.

        Raises:
            StorageError: the server does not answer or refuses the work.

        """
        connection = self.connect(autocommit=False)
        try:
            # Within the try: what the server says to the commit counts, too.
            with connection:
                yield connection
        except psycopg.Error as error:
            raise StorageError(f"database: {first_line(error)}") from error
        finally:
            # A refused commit leaves it open.
            connection.close()

    @contextmanager
    def turn(self, name: str) -> Iterator[bool]:
        """Yield whether a turn is ours, and nobody else's until the end; a killed holder lets go.

        Raises:
            StorageError: the server does not answer or refuses.

        """
        with self.connect() as connection:
            row = connection.execute(
                "select pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)
            ).fetchone()
            yield bool(row and row[0])

    @contextmanager
    def held(self) -> Iterator[Database]:
        """Open one connection for all transactions of a caller with many; one thread's.

        Raises:
            StorageError: the server does not answer or refuses.

        """
        with closing(self.connect(autocommit=False)) as connection:
            yield _Held(self.url, self.clock_offset, connection, variable=self.variable)


@dataclass(frozen=True)
class _Held(Database):
    """The same database, whose transactions follow each other on one connection."""

    connection: psycopg.Connection[tuple[Any, ...]] = field(repr=False, compare=False)

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Run one transaction on the connection.

        Raises:
            StorageError: the server does not answer or refuses the work.

        """
        try:
            with self.connection.transaction():
                yield self.connection
        except psycopg.Error as error:
            raise StorageError(f"database: {first_line(error)}") from error


def sibling_database(url: str, suffix: str) -> str:
    """Return the URL of the database `<name><suffix>` on the same server."""
    return str(DatabaseUrl.parse(url).beside(suffix))
