"""What people look at: rows of `user_symbol_tracking`, one a user, symbol and source.

A trigger turns them into definitions (`swiftbolt_assets/migrations/functions/interest.sql`), which
the platform hears of at once. What belongs here: recording interest. What does not: an operator's
changes (`definitions.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from resources.postgres.in_turn import in_turn
from resources.queue.definitions import Definition, definitions_of
from swiftbolt_assets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from resources.postgres.database import Database

    Connection = psycopg.Connection[tuple[Any, ...]]


def track(database: Database, user: UUID, symbols: Sequence[str], source: str) -> list[Definition]:
    """Record a user's interest in canonical tickers; return what is now wanted of them.

    All in one transaction, tickers in their order, so that two never wait for each other. A repeat
    touches `updated_at` only.

    Raises:
        UsageError: `auth.users` has no such user.
        StorageError: the database does not answer or refuses.

    """
    tickers = sorted(set(symbols))

    def write(connection: Connection) -> list[Definition]:
        connection.execute(_ADD_SYMBOLS, (tickers,))
        try:
            connection.execute(_TRACK, {"user": user, "symbols": tickers, "source": source})
        except psycopg.errors.ForeignKeyViolation as error:
            if "user_id" not in (error.diag.constraint_name or ""):
                raise
            raise UsageError(
                f"user: {user} is no row of auth.users; give the id of one with --user or "
                "SWIFTBOLT_ANON_USER, or add it there"
            ) from error
        return definitions_of(connection, tickers)

    return in_turn(database, write)


def record_interest(
    connection: Connection, user: UUID, symbols: Sequence[str], source: str
) -> list[Definition]:
    """Record interest in canonical tickers with a caller's rights; return what is now wanted.

    Raises:
        psycopg.Error: the caller is nobody, or may not.

    """
    tickers = sorted(set(symbols))
    connection.execute("select admit_caller(), admit_symbols(%s)", (tickers,))
    connection.execute(_TRACK, {"user": user, "symbols": tickers, "source": source})
    return definitions_of(connection, tickers)


def is_tracked(connection: Connection, user: UUID, symbol: str) -> bool:
    """Return whether a user's interest in a canonical ticker is recorded, whatever its source."""
    row = connection.execute(
        "select from user_symbol_tracking where user_id = %s"
        " and symbol_id = (select id from symbols where ticker = %s)",
        (user, symbol),
    ).fetchone()
    return row is not None


def source_priority(connection: Connection, source: str) -> int:
    """Return how much a source of interest counts."""
    row = connection.execute(
        "select priority from interest_priorities where source = %s", (source,)
    ).fetchone()
    return int(row[0]) if row else 0


_ADD_SYMBOLS = """
insert into symbols (ticker) select unnest(%s::text[]) order by 1
on conflict do nothing
"""
# The trigger sets the priority, and looks for the definitions once the row stands.
_TRACK = """
insert into user_symbol_tracking (user_id, symbol_id, source)
select %(user)s, id, %(source)s from symbols where ticker = any(%(symbols)s) order by ticker
on conflict (user_id, symbol_id, source) do update set updated_at = now()
"""
