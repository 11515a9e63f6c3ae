"""Whether the database lets work be done: tried as work does it, and taken back.

What belongs here: the probe. What does not: who asks for one (`swiftbolt_assets/api/checkup.py`,
`swiftbolt_assets/cli/commands`), what the parts say (`platform/vitals.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from resources.postgres.connection import first_line
from resources.postgres.rights import ROLES
from swiftbolt_assets.errors import ReadOnlyError, StorageError

if TYPE_CHECKING:
    Connection = psycopg.Connection[tuple[Any, ...]]

_LOCK_MS = 1_000
#: A budget of its own, so that no request waits for the probe; its rows are never committed.
_BUDGET = "probe"
_SLOT = "select slot from rate_try(%s, null, 0, null, 1, 'probe', 1, 1)"
_WRITE = """
insert into heartbeats (name, beat_at) values ('probe', clock_timestamp())
on conflict (name) do update set beat_at = excluded.beat_at
"""


def probe(connection: Connection) -> None:
    """Write, take a slot and act as each role; nothing of it stays.

    Raises:
        ReadOnlyError: the server refuses to write.
        StorageError: another of these is refused; it names which.

    """
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"set local lock_timeout = {_LOCK_MS}".encode())
            _step(connection, "a row cannot be written", _WRITE)
            _step(connection, "no request's slot can be taken", _SLOT, _BUDGET)
            for role in ROLES:
                what = f"nobody can act as {role}; run swiftbolt migrate"
                _step(connection, what, "select set_config('role', %s, true)", role)
            connection.execute("select set_config('role', 'none', true)")
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise ReadOnlyError(f"database: {first_line(error)}") from error
    except psycopg.Error as error:
        raise StorageError(f"database: {first_line(error)}") from error


def _step(connection: Connection, what: str, statement: str, *arguments: object) -> None:
    try:
        connection.execute(statement.encode(), arguments)
    except psycopg.errors.ReadOnlySqlTransaction:
        raise
    except psycopg.Error as error:
        raise StorageError(f"database: {what} ({first_line(error)})") from error
