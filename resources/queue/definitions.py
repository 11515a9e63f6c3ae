"""What is wanted of each symbol: its `fetch_intraday` definitions, read and changed by an operator.

A change counts from the next planning on, a priority at once: triggers see to both
(`swiftbolt_assets/migrations/functions/definitions.sql`). What belongs here: statements about
`job_definitions`. What does not: interest, which only ever raises them (`tracking.py`), and what
follows from them (`slices.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.postgres.in_turn import in_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.postgres.callers import Connection
    from resources.postgres.database import Database
    from swiftbolt_assets.market.timeframes import Timeframe

#: Of a definition that an operator makes without naming one.
DEFAULT_PRIORITY = 100


@dataclass(frozen=True)
class Definition:
    """One definition: how far back a timeframe of a symbol goes, and how urgent it is.

    Attributes:
        symbol: canonical ticker.
        timeframe: token such as `m15`.
        window_days: from today on backwards.
        priority: higher goes first.
        enabled: whether it is fetched at all.
        pinned: whether later interest leaves it alone.

    """

    symbol: str
    timeframe: str
    window_days: int
    priority: int
    enabled: bool
    pinned: bool


@dataclass(frozen=True)
class Change:
    """What an operator changes of definitions; None leaves a value as it is.

    Attributes:
        window_days: how far back.
        priority: higher goes first.
        enabled: whether it is fetched.
        pinned: whether later interest leaves it alone.

    """

    window_days: int | None = None
    priority: int | None = None
    enabled: bool | None = None
    pinned: bool | None = None


def definitions_of(connection: Connection, symbols: Sequence[str]) -> list[Definition]:
    """Return the definitions of some symbols, by symbol and timeframe."""
    rows = connection.execute(
        "select d.symbol, d.timeframe::text, d.window_days, d.priority, d.enabled, d.pinned"
        " from job_definitions d where d.symbol = any(%s) and d.job_type = 'fetch_intraday'"
        " order by d.symbol, d.timeframe",
        (list(symbols),),
    ).fetchall()
    return [Definition(*row) for row in rows]


def change_definitions(
    database: Database, symbol: str, timeframe: Timeframe | None, change: Change
) -> list[Definition]:
    """Change a symbol's definitions, all three or one, and return all of them.

    A missing one is made: with the window that interest gives it, and `DEFAULT_PRIORITY`.
    """

    def write(connection: Connection) -> list[Definition]:
        connection.execute(
            _CHANGE,
            {
                "symbol": symbol,
                "timeframe": timeframe and str(timeframe),
                "window": change.window_days,
                "priority": change.priority,
                "enabled": change.enabled,
                "pinned": change.pinned,
                "default_priority": DEFAULT_PRIORITY,
            },
        )
        return definitions_of(connection, [symbol])

    return in_turn(database, write)


_CHANGE = """
insert into job_definitions as d
  (job_type, symbol, timeframe, window_days, priority, enabled, pinned)
select 'fetch_intraday', %(symbol)s, w.timeframe,
  coalesce(%(window)s::integer, w.window_days),
  coalesce(%(priority)s::integer, %(default_priority)s::integer),
  coalesce(%(enabled)s::boolean, true),
  coalesce(%(pinned)s::boolean, false)
  from interest_windows w
 where %(timeframe)s::text is null or w.timeframe = %(timeframe)s::timeframe
 order by w.timeframe
on conflict (symbol, timeframe, job_type) do update set
  window_days = coalesce(%(window)s::integer, d.window_days),
  priority = coalesce(%(priority)s::integer, d.priority),
  enabled = coalesce(%(enabled)s::boolean, d.enabled),
  pinned = coalesce(%(pinned)s::boolean, d.pinned),
  origin = case when %(priority)s::integer is null then d.origin else 'asked' end
"""
