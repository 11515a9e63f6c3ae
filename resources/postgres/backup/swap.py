"""Databases that take the place of others, both at once: what `swiftbolt restore` loads into.

The new ones are made under names of their own, `<name>_incoming`; when they are whole, one
transaction renames the old ones away and the new ones in. Killed before it, a restore has changed
nothing; killed after it, what it replaced lies in `<name>_replaced` until the next one. What
belongs here: making, swapping and dropping databases, and the snapshots of a backup. What does not:
their content (`dump.py`).
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from resources.postgres.connection import connect, first_line
from resources.postgres.database import sibling_database
from resources.postgres.rights import ROLES
from swiftbolt_assets.database_url import DatabaseUrl
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SUFFIXES = ("_incoming", "_replaced")


@dataclass(frozen=True)
class Replaced:
    """One database and the one that is to take its place.

    Attributes:
        url: of the database.
        name: its name.

    """

    url: str
    name: str

    @property
    def incoming(self) -> str:
        """Return the URL of the one that is to take its place."""
        return sibling_database(self.url, "_incoming")

    @property
    def server(self) -> str:
        """Return the URL of its server's maintenance database."""
        return str(DatabaseUrl.parse(self.url).named("postgres"))


def replaced(url: str) -> Replaced:
    """Return a database that may be replaced.

    Raises:
        ConfigurationError: its name is so long that the names made from it would be others'.

    """
    parts = DatabaseUrl.parse(url)
    for suffix in _SUFFIXES:
        parts.beside(suffix)
    return Replaced(url, parts.database)


@contextmanager
def snapshots(urls: Sequence[str]) -> Iterator[list[str]]:
    """Yield a snapshot of each database, taken one after the other, within milliseconds.

    Raises:
        StorageError: a server does not answer.

    """
    with ExitStack() as stack:
        taken = []
        for url in urls:
            connection = stack.enter_context(_connect(url, autocommit=False))
            connection.execute("set transaction isolation level repeatable read, read only")
            row = connection.execute("select pg_export_snapshot()").fetchone()
            taken.append(str(row[0]) if row else "")
        yield taken


def is_empty(one: Replaced) -> bool:
    """Return whether a database has no table of its own, or is not there at all."""
    with _connect(one.server) as connection:
        there = connection.execute("select from pg_database where datname = %s", (one.name,))
        if there.fetchone() is None:
            return True
    with _connect(one.url) as connection:
        return connection.execute(_TABLES).fetchone() is None


def users(one: Replaced) -> int:
    """Return how many connections a database has."""
    with _connect(one.server) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where datname = %s"
            " and backend_type = 'client backend'",
            (one.name,),
        ).fetchone()
    return int(row[0]) if row else 0


def make_incoming(ones: Sequence[Replaced]) -> None:
    """Make the databases to load into, empty, and the roles that their rights name."""
    drop_leftovers(ones)
    for one in ones:
        with _connect(one.server) as connection:
            connection.execute(
                sql.SQL("create database {} template template0").format(_name(one, "_incoming"))
            )
            for role in ROLES:
                row = connection.execute("select from pg_roles where rolname = %s", (role,))
                if row.fetchone() is None:
                    connection.execute(sql.SQL("create role {} nologin").format(_identifier(role)))


def swap(ones: Sequence[Replaced]) -> None:
    """Put the loaded databases in place of the old ones, all or none.

    Raises:
        StorageError: somebody uses one of the old ones.

    """
    with ExitStack() as stack:
        servers: dict[str, psycopg.Connection[tuple[Any, ...]]] = {}
        for one in ones:
            if one.server not in servers:
                connection = stack.enter_context(_connect(one.server, autocommit=False))
                servers[one.server] = connection
            connection = servers[one.server]
            there = connection.execute("select from pg_database where datname = %s", (one.name,))
            if there.fetchone() is not None:
                _rename(connection, _name(one), _name(one, "_replaced"))
            _rename(connection, _name(one, "_incoming"), _name(one))
        for connection in servers.values():
            connection.commit()


def drop_leftovers(ones: Sequence[Replaced]) -> None:
    """Drop what a restore left: half loaded databases, and those that were replaced."""
    for one in ones:
        with _connect(one.server) as connection:
            for suffix in _SUFFIXES:
                connection.execute(
                    sql.SQL("drop database if exists {} with (force)").format(_name(one, suffix))
                )


def close_budgets(url: str) -> None:
    """Let one window of each request budget pass: what was sent since the backup is not known."""
    with _connect(url) as connection:
        connection.execute(
            "update rate_limit set closed_until = greatest(closed_until,"
            " clock_timestamp() + make_interval(secs => window_s))"
        )
        connection.execute("analyze")


def _rename(
    connection: psycopg.Connection[tuple[Any, ...]], old: sql.Composable, new: sql.Composable
) -> None:
    connection.execute(sql.SQL("alter database {} rename to {}").format(old, new))


@contextmanager
def _connect(url: str, *, autocommit: bool = True) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    try:
        connection = connect(url, autocommit=autocommit)
        try:
            yield connection
        finally:
            connection.close()
    except psycopg.Error as error:
        raise StorageError(f"database: {first_line(error)}") from error


def _name(one: Replaced, suffix: str = "") -> sql.Identifier:
    return _identifier(f"{one.name}{suffix}")


def _identifier(name: str) -> sql.Identifier:
    return sql.Identifier(name)


_TABLES = """
select from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
   and n.nspname !~ '^pg_toast'
 limit 1
"""
