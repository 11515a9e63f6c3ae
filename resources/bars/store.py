"""Where bars live: the only statements of Python's that write `ohlc_bars_v2`.

One transaction stores a symbol's sessions whole: m15, h1, h4, the coverage ledger and the rejected
bars. Rows that did not change are not rewritten. Path: polars frame -> binary COPY, straight into
the table where the range is empty, else into a temporary one and MERGE of what differs, under an
advisory lock per symbol (two sessions that MERGE the same new key collide otherwise).

What belongs here: writing and reading bars. What does not: what is written
(`swiftbolt_assets/filling/filler.py`), bars as bytes (`copy_format.py`), the ledger's rows
(`session_rows.py`), what the ledger says (`ledger.py`), what SQL does to bars by itself
(`swiftbolt_assets/migrations/functions/`: `bars.sql`, `calendar.sql`).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg

from resources.bars.calendar import follow_changes, hold_calendar
from resources.bars.copy_format import COLUMNS, VALUES, BarRows, encode
from resources.bars.session_rows import write_coverage, write_rejects
from resources.bars.session_write import Replaced, Written
from resources.bars.split_judging import hold_bars, judge_near
from resources.postgres.connection import first_line
from resources.providers.capabilities import Role
from resources.providers.registry import NAMES, TODAY, role_of
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.coverage import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from resources.bars.session_write import SessionsWrite
    from resources.postgres.database import Database
    from swiftbolt_assets.market.timeframes import Timeframe

    Connection = psycopg.Connection[tuple[Any, ...]]


class BarStore:
    """Writes and reads bars; one connection per process, opened when first needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # By process: a fork keeps its parent's connection, untouched, and opens one of its own.
        self._connections: dict[int, Connection] = {}
        # Months whose partition stands, counted from year 0.
        self._months: set[int] = set()

    def write(self, write: SessionsWrite) -> Written:
        """Store sessions whole, or nothing.

        Raises:
            StorageError: the database refused a row or went away; nothing was stored.

        """
        with self._transaction() as connection:
            hold_calendar(connection)
            hold_bars(connection, [write.symbol_id])
            self._ensure_months(connection, write)
            written, any_live = _write_bars(connection, write)
            if role_of(write.provider) is Role.HISTORY and any_live:
                written = replace(written, replaced=_replace_live(connection, write))
            write_coverage(connection, write)
            write_rejects(connection, write)
            follow_changes(connection, write.symbol_id, write.opens, write.closes)
            judge_near(connection, write.symbol_id, write.opens.date(), write.closes.date())
        return written

    def read(
        self,
        symbol_id: UUID,
        timeframe: Timeframe,
        first: datetime,
        last: datetime,
        *,
        provider: str | None = None,
    ) -> pl.DataFrame:
        """Return the bars with `first <= ts < last`, ascending, as `BAR_SCHEMA`.

        One bar a timestamp, by the precedence of providers; only `provider`'s if given.
        """
        with self._transaction() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(
                "select distinct on (ts) ts, open, high, low, close, volume, vwap, trade_count"
                " from ohlc_bars_v2 where symbol_id = %s"
                " and timeframe = %s::timeframe and not is_forecast and ts >= %s and ts < %s"
                " and (%s::text is null or provider::text = %s::text)"
                " order by ts, array_position(%s::text[], provider::text)",
                (symbol_id, str(timeframe), first, last, provider, provider, NAMES),
            ).fetchall()
        return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row") if rows else empty_bars()

    def close(self) -> None:
        """Close the connection, if this process opened one."""
        connection = self._connections.pop(os.getpid(), None)
        if connection is not None:
            connection.close()

    def _ensure_months(self, connection: Connection, write: SessionsWrite) -> None:
        first, last = (at.year * 12 + at.month - 1 for at in (write.opens, write.closes))
        months = set(range(first, last + 1))
        if not months <= self._months:
            connection.execute("select ensure_bar_partitions(%s, %s)", (write.opens, write.closes))
            self._months |= months

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            connection = self._connect()
            yield connection
            connection.commit()
        except psycopg.Error as error:
            self._discard()
            raise StorageError(f"database: {first_line(error)}") from error
        except BaseException:
            self._discard()
            raise

    def _connect(self) -> Connection:
        connection = self._connections.get(os.getpid())
        if connection is None:
            connection = self._database.connect(autocommit=False)
            self._connections[os.getpid()] = connection
            for statement in _PREPARATION:
                connection.execute(statement)
            connection.commit()
        return connection

    def _discard(self) -> None:
        """Drop the connection with what it had not committed; the next call opens a new one."""
        self._months.clear()
        self.close()


def _write_bars(connection: Connection, write: SessionsWrite) -> tuple[Written, bool]:
    """Write the bars; return what that did, and whether the range has live bars."""
    bounds = {
        "symbol": write.symbol_id,
        "provider": write.provider,
        "opens": write.opens,
        "closes": write.closes,
        "live": TODAY.name,
    }
    standing = connection.execute(_STANDING, bounds).fetchone()
    now, any_own, any_live = standing or (None, True, True)
    rows = sum(bars.height for bars in write.bars.values())
    if not rows:
        return Written(0, 0, 0), any_live
    block = encode(_groups(write, now))
    if not any_own:
        _copy(connection, "ohlc_bars_v2", block)
        return Written(rows, 0, 0), any_live
    _copy(connection, "staged_bars", block)
    matched, changed = connection.execute(_COMPARE, bounds).fetchone() or (0, 0)
    if matched < rows or changed:
        connection.execute(_MERGE, bounds)
    return Written(rows - matched, changed, matched - changed), any_live


def _groups(write: SessionsWrite, now: datetime) -> Iterator[BarRows]:
    """Yield the rows by timeframe and status: only today's bars have more than one."""
    for timeframe, bars in write.bars.items():
        for status, part in _by_status(write, timeframe, bars):
            yield BarRows(
                symbol_id=write.symbol_id,
                timeframe=str(timeframe),
                provider=write.provider,
                is_intraday=role_of(write.provider) is Role.TODAY,
                data_status=status,
                fetched_at=now,
                bars=part,
            )


def _by_status(
    write: SessionsWrite, timeframe: Timeframe, bars: pl.DataFrame
) -> list[tuple[str, pl.DataFrame]]:
    if write.forming is None:
        return [("verified", bars)]
    if timeframe not in write.forming:
        return [("live", bars)]
    forming = pl.col("ts") >= write.forming[timeframe]
    return [("live", bars.filter(~forming)), ("provisional", bars.filter(forming))]


def _copy(connection: Connection, table: str, block: bytes) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy {table} ({_COLUMNS}) from stdin (format binary)") as copy,
    ):
        copy.write(block)


def _replace_live(connection: Connection, write: SessionsWrite) -> list[Replaced]:
    """Compare live rows with those of history's answer that settles them, and delete them.

    Where history cannot be asked, has nothing or sent nothing usable, they are all there is.
    """
    days = [row.day for row in write.coverage if row.state is State.FINAL]
    if not days:
        return []
    rows = connection.execute(
        "select day, live_bars, history_bars, differing, max_price_difference,"
        " max_volume_difference from replace_live_bars(%s, %s, %s, %s, %s)",
        (write.symbol_id, days, write.opens, write.closes, list(write.kept)),
    ).fetchall()
    return [Replaced(*row) for row in rows]


_PREPARATION = (
    # At the default of 4, planning prefers to hash the whole table: 7 times slower (MERGE).
    "set random_page_cost = 1.1",
    "create temp table staged_bars (like ohlc_bars_v2 including defaults) on commit delete rows",
)

_OF_HISTORY = """
  select from ohlc_bars_v2
  where symbol_id = %(symbol)s and timeframe = any (stored_timeframes())
    and ts >= %(opens)s and ts < %(closes)s and not is_forecast
"""
_STANDING = f"""
select clock_timestamp(),
  exists ({_OF_HISTORY} and provider = %(provider)s::data_provider),
  exists ({_OF_HISTORY} and provider = %(live)s::data_provider)
"""

_COLUMNS = ", ".join(COLUMNS)
_SAME_KEY = """
t.symbol_id = %(symbol)s and t.timeframe = s.timeframe and t.ts = s.ts
and t.ts >= %(opens)s and t.ts < %(closes)s
and t.provider = %(provider)s::data_provider and not t.is_forecast
"""
_COMPARED = (*VALUES, "data_status")
_DIFFERS = (
    f"({', '.join(f't.{name}' for name in _COMPARED)}) is distinct from"
    f" ({', '.join(f's.{name}' for name in _COMPARED)})"
)
_COMPARE = (
    f"select count(t.ts), count(t.ts) filter (where {_DIFFERS})"  # noqa: S608 - constants only
    f" from staged_bars s left join ohlc_bars_v2 t on {_SAME_KEY}"
)
_MERGE = (
    f"merge into ohlc_bars_v2 t using staged_bars s on {_SAME_KEY}"  # noqa: S608 - constants only
    f" when matched and {_DIFFERS} then update set"
    f" {', '.join(f'{name} = s.{name}' for name in (*_COMPARED, 'fetched_at'))}"
    f" when not matched then insert ({_COLUMNS}) values"
    f" ({', '.join(f's.{name}' for name in COLUMNS)})"
)
