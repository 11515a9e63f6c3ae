"""How a connection begins: what its session relies on, and that it is a session at all.

A database, a role or a server may have defaults of its own (a German DateStyle, a statement
timeout, serializable transactions); every connection sets what statements here rely on, by a
statement and not by a start-up option, which poolers refuse. `default_transaction_read_only` is
left alone: a server that forbids writing has its reason.

What belongs here: opening one connection, in psycopg 3 or 2, and its errors in a line. What does
not: who holds connections (`database.py`, `callers.py`, Dagster's storage).
"""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from functools import cache
from typing import Any

import psycopg

from resources.postgres.unwritable import MAKE_ROOM, MAKE_WRITABLE, no_room_in
from swiftbolt_assets.errors import ConfigurationError

#: An unreachable server is known after this many seconds.
CONNECT_TIMEOUT_S = 10
NAME = "swiftbolt"

#: What statements here rely on, whatever the server, the database or the role has by default.
RELIED_ON = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "search_path": "public",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "row_security": "on",
    # Transactions bring limits of their own where they need some.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
_LATEST = 10**9
#: What only newer servers know, minor releases of older ones among them.
_NEWER = (
    (range(170000, _LATEST), {"transaction_timeout": "0"}),
    (range(150008, 160000), {"restrict_nonsystem_relation_kind": ""}),
    (range(160004, _LATEST), {"restrict_nonsystem_relation_kind": ""}),
)
#: Two sessions that share a server's process within so many statements are none.
_PROBES = 10


def setup(version: int, clock_offset: timedelta = timedelta()) -> str:
    """Return the statement that a new session begins with; it returns the server process's id.

    Args:
        version: the server's, as `170002`.
        clock_offset: what the market clock adds to real time.

    """
    wanted = dict(RELIED_ON)
    for versions, settings in _NEWER:
        wanted |= settings if version in versions else {}
    wanted["swiftbolt.clock_offset"] = f"{clock_offset.total_seconds():.6f}"
    calls = (f"pg_catalog.set_config('{name}', '{value}', false)" for name, value in wanted.items())
    return f"select pg_catalog.pg_backend_pid(), {', '.join(calls)}"


def connect(
    url: str,
    *,
    clock_offset: timedelta = timedelta(),
    autocommit: bool = True,
    variable: str = "SWIFTBOLT_DATABASE_URL",
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection whose session has what statements rely on.

    Args:
        url: of the database.
        clock_offset: what the market clock adds to real time.
        autocommit: whether each statement is a transaction.
        variable: the setting that names the URL.

    Raises:
        psycopg.Error: the server does not answer or refuses.
        ConfigurationError: the URL leads to a pooler that has no sessions.

    """
    connection = psycopg.connect(
        url, autocommit=True, application_name=NAME, connect_timeout=CONNECT_TIMEOUT_S
    )
    try:
        begin(connection, url, clock_offset, variable)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def begin(
    connection: psycopg.Connection[Any],
    url: str,
    clock_offset: timedelta,
    variable: str = "SWIFTBOLT_DATABASE_URL",
) -> None:
    """Give a connection what statements rely on; it must not be within a transaction."""
    version, told = connection.info.server_version, connection.info.backend_pid
    row = connection.execute(setup(version, clock_offset)).fetchone()
    if row and row[0] != told:
        _require_sessions(url, variable)


async def connect_to_listen(
    url: str, clock_offset: timedelta
) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """Open a connection that waits for announcements.

    Raises:
        psycopg.Error: the server does not answer or refuses.

    """
    connection = await psycopg.AsyncConnection.connect(
        url, autocommit=True, application_name=NAME, connect_timeout=CONNECT_TIMEOUT_S
    )
    try:
        await connection.execute(setup(connection.info.server_version, clock_offset))
    except BaseException:
        await connection.close()
        raise
    return connection


def begin_psycopg2(connection: Any, _record: object) -> None:  # noqa: ANN401 - it is untyped
    """Give one of Dagster's connections what its statements rely on (an SQLAlchemy listener)."""
    was_autocommit, connection.autocommit = connection.autocommit, True
    with connection.cursor() as cursor:
        cursor.execute(setup(connection.server_version))
    connection.autocommit = was_autocommit


def first_line(error: BaseException) -> str:
    """Return an error's first line: what a person reads; details follow it.

    Of a database that nobody can write to it also says what to do.
    """
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return f"read-only, {line}; {MAKE_WRITABLE}"
    # A quota or a limit on files says so without the code of a full disk.
    has_no_room = isinstance(error, psycopg.errors.DiskFull) or no_room_in(line)
    return f"{line}; {MAKE_ROOM}" if has_no_room else line


@cache
def _require_sessions(url: str, variable: str) -> None:
    """Refuse a pooler that lends a server's process for one transaction only.

    What a session sets, locks and listens to would be another client's a moment later. A pooler
    that answers shows itself by a process id of its own; one by transactions, by lending the same
    process to two sessions, or two to one.

    Raises:
        ConfigurationError: the pooler does that.

    """
    with closing(_bare(url)) as one, closing(_bare(url)) as two:
        seen = [(_process(one), _process(two)) for _ in range(_PROBES)]
    ones, twos = ({pair[index] for pair in seen} for index in (0, 1))
    if ones & twos or len(ones) > 1 or len(twos) > 1:
        raise ConfigurationError(
            f"{variable}: port {_port(url)} is a pooler in transaction mode, in which "
            "locks and announcements get lost; use the pooler's session mode, or the server's "
            "own port (mostly 5432)"
        )


def _bare(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


def _process(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    row = connection.execute("select pg_catalog.pg_backend_pid()", prepare=False).fetchone()
    return int(row[0]) if row else 0


def _port(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url).get("port") or 5432)
