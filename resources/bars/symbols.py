"""The symbols that the database knows.

A well-formed ticker that is missing is added at once; whether it exists is settled by the
providers' answers. What belongs here: statements about table `symbols`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from swiftbolt_assets.policy.admission import PEOPLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.postgres.callers import Connection
    from resources.postgres.database import Database


def ensure_symbols(database: Database, tickers: Sequence[str]) -> dict[str, UUID]:
    """Return the ids of canonical tickers in their order, adding those that are missing."""
    with database.transaction() as connection:
        connection.execute(
            "insert into symbols (ticker) select unnest(%s::text[])"
            " order by 1 on conflict do nothing",
            (list(tickers),),
        )
        rows = connection.execute(
            "select ticker, id from symbols where ticker = any(%s)", (list(tickers),)
        ).fetchall()
    ids = {str(ticker): UUID(str(symbol_id)) for ticker, symbol_id in rows}
    return {ticker: ids[ticker] for ticker in tickers}


def find_symbol(database: Database, ticker: str) -> UUID | None:
    """Return the id of a canonical ticker, or None."""
    with database.transaction() as connection:
        return known_symbol(connection, ticker)


def known_symbol(connection: Connection, ticker: str) -> UUID | None:
    """Return the id of a canonical ticker within a transaction, or None."""
    row = connection.execute("select id from symbols where ticker = %s", (ticker,)).fetchone()
    return UUID(str(row[0])) if row else None


def symbol_name(connection: Connection, ticker: str) -> str:
    """Return the name of a canonical ticker, tracked or listed; empty where nobody tells it."""
    row = connection.execute(
        "select coalesce((select nullif(description, '') from symbols where ticker = %(ticker)s),"
        " (select name from listed_tickers where ticker = %(ticker)s), '')",
        {"ticker": ticker},
    ).fetchone()
    return str(row[0]) if row else ""


def id_to_be(connection: Connection, ticker: str) -> UUID:
    """Return the id of a canonical ticker that nobody has opened yet; it keeps it."""
    row = connection.execute("select symbol_id(%s)", (ticker,)).fetchone()
    return UUID(str(row[0])) if row else UUID(int=0)


def asset_type(connection: Connection, symbol_id: UUID) -> str:
    """Return what a known symbol is, such as `stock`."""
    row = connection.execute(
        "select asset_type from symbols where id = %s", (symbol_id,)
    ).fetchone()
    return str(row[0]) if row else "stock"


def partition_tickers(database: Database) -> list[str]:
    """Return the tickers that are partitions, ascending.

    Background symbols are not before their work begins: Dagster's range `A...B` spans all between.
    """
    with database.transaction() as connection:
        rows = connection.execute(_PARTITIONS, (PEOPLE,)).fetchall()
    return [str(row[0]) for row in rows]


_PARTITIONS = """
select ticker from symbols s
where exists (select from session_coverage c where c.symbol_id = s.id)
  or not exists (
    select from job_definitions d where d.symbol = s.ticker
    having max(d.priority) filter (where d.enabled) < %s)
order by ticker
"""
