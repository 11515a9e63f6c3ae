"""Many rows fast: a filled symbol's two years, copied under other names at other prices.

A copy's rows lie as a backfill leaves them: months are partitions, and in each a symbol's rows
stand together. What belongs here: making a table large. What does not: the symbol that is copied
(`filling.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from uuid import UUID

    from resources.postgres.database import Database

_COPIED = (
    "timeframe", "ts", "provider", "is_forecast", "is_intraday", "trade_count", "data_status",
    "fetched_at",
)  # fmt: skip
_PRICED = ("open", "high", "low", "close", "vwap")
_NEWCOMERS = """
insert into symbols (ticker)
select 'B' || lpad(n::text, 6, '0') from generate_series(%s::integer + 1, %s::integer) n
returning id
"""
# Into the partition itself: the rules that writers are held to by the parent cost nothing here.
_COPY = """
insert into {month} (symbol_id, volume, {copied}, {priced})
select s.id, round(o.volume * (2 - s.factor)), {copied}, {products}
  from (select id, 0.5 + (row_number() over ()) / (count(*) over ())::float8 as factor
    from unnest(%(newcomers)s) id) s
  cross join lateral (
    select * from {month} where symbol_id = %(original)s and s.factor > 0 offset 0) o
"""


def grow(database: Database, original: UUID, rows: int) -> int:
    """Copy a symbol until the table holds so many rows; return how many it holds.

    Args:
        database: where.
        original: the symbol that is copied; it is filled.
        rows: wanted; a symbol is copied whole or not at all.

    """
    with database.connect() as connection:
        connection.execute("set synchronous_commit = off")
        (each, stored) = connection.execute(
            "select count(*) filter (where symbol_id = %s), count(*) from ohlc_bars_v2", (original,)
        ).fetchone() or (0, 0)
        missing = (rows - stored) // each
        if missing <= 0:
            return int(stored)
        (copies,) = connection.execute(
            "select count(*) from symbols where ticker ~ '^B[0-9]{6}$'"
        ).fetchone() or (0,)
        newcomers = [
            row[0] for row in connection.execute(_NEWCOMERS, (copies, copies + missing)).fetchall()
        ]
        months = connection.execute(
            "select inhrelid::regclass::text from pg_inherits"
            " where inhparent = 'ohlc_bars_v2'::regclass order by 1"
        ).fetchall()
        for (month,) in months:
            statement = sql.SQL(_COPY).format(
                month=sql.Identifier(month),
                copied=sql.SQL(", ").join(map(sql.Identifier, _COPIED)),
                priced=sql.SQL(", ").join(map(sql.Identifier, _PRICED)),
                products=sql.SQL(", ").join(
                    sql.SQL("o.{} * s.factor").format(sql.Identifier(name)) for name in _PRICED
                ),
            )
            connection.execute(statement, {"newcomers": newcomers, "original": original})
        # What the server would otherwise begin by itself amid a measurement.
        connection.execute("set default_statistics_target = 10")
        connection.execute("vacuum (analyze) ohlc_bars_v2")
        return int(stored + missing * each)
