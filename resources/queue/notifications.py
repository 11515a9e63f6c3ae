"""What the database announces of symbols, heard as it happens.

What belongs here: listening on one connection. What does not: announcing
(`swiftbolt_assets/migrations/functions/`: `slices.sql`, `ledger.sql`, `calendar.sql`), telling
those who watch (`swiftbolt_assets/api/broadcast.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg

from resources.postgres.connection import connect_to_listen, first_line
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from resources.postgres.database import Database

_CHANNEL = "swiftbolt_news"
#: A connection that died without a word is noticed after so long.
_CHECK_S = 20.0


@dataclass(frozen=True, slots=True)
class News:
    """Something changed of a symbol.

    Attributes:
        symbol: canonical ticker.
        start, end: the stretch whose sessions were stored or judged anew, None for its slices.

    """

    symbol: str
    start: datetime | None
    end: datetime | None


async def hear(database: Database) -> AsyncIterator[News | None]:
    """Yield None once it listens, then news without end.

    Raises:
        StorageError: the database does not answer, or went away.

    """
    try:
        connection = await connect_to_listen(database.url, database.clock_offset)
        async with connection:
            await connection.execute(f"listen {_CHANNEL}")
            yield None
            while True:
                async for notice in connection.notifies(timeout=_CHECK_S):
                    yield _read(notice.payload)
                await connection.execute("select 1")
    except psycopg.Error as error:
        raise StorageError(f"database: {first_line(error)}") from error


def _read(payload: str) -> News:
    told = json.loads(payload)
    start, end = told.get("from"), told.get("to")
    if start is None or end is None:
        return News(told["symbol"], None, None)
    return News(told["symbol"], datetime.fromisoformat(start), datetime.fromisoformat(end))
