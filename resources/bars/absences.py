"""Sessions of a symbol that are not simply full, and its splits: what a chart explains.

What belongs here: these two statements for whoever may read. What does not: the ledger's own
(`ledger.py`), keeping splits current (`splits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from resources.postgres.callers import Connection


@dataclass(frozen=True)
class Gap:
    """A session that is not settled, or lacks bars.

    Attributes:
        day: New York date.
        opens, closes: its bounds, UTC.
        state: final, open, provisional or not_fetched.
        reason: why it has no bar at all, None when it has one or is not settled.
        bars: stored 15-minute bars.
        expected: its quarter hours.
        absences: start of each quarter hour without a bar -> reason.
        unconfirmed: quarter hours without a bar that are in doubt.
        ask_again_at: when the provider is asked once more, on the market clock; None for never.

    """

    day: date
    opens: datetime
    closes: datetime
    state: str
    reason: str | None
    bars: int
    expected: int
    absences: Mapping[str, str]
    unconfirmed: int
    ask_again_at: datetime | None


@dataclass(frozen=True)
class ChartSplit:
    """A listed split, and what the prices say of it.

    Attributes:
        execution_date: the first day of the new shares, as it is listed.
        split_from, split_to: so many old shares became so many new ones.
        effective_date: the day before which prices are folded, None where none are.
        state: shown on its day, moved to another one, listed while prices cannot tell, repeated
            (listed a second time), or doubtful (prices do not show it).

    """

    execution_date: date
    split_from: float
    split_to: float
    effective_date: date | None
    state: str


@dataclass(frozen=True)
class PendingSplit:
    """A split that is yet to come, or comes today.

    Attributes:
        symbol: canonical ticker.
        kind: split, forward_split, reverse_split or stock_dividend.
        day: the first one of the new shares.
        split_from, split_to: so many old shares become so many new ones.

    """

    symbol: str
    kind: str
    day: date
    split_from: float
    split_to: float


def session_gaps(connection: Connection, symbol: str, first: date, last: date) -> Sequence[Gap]:
    """Return the sessions from `first` to `last` that are not simply full, oldest first."""
    rows = connection.execute(
        "select day, opens, closes, state, reason, bars, expected, absences, unconfirmed,"
        " ask_again_at"
        " from get_session_gaps(%s, %s, %s)",
        (symbol, first, last),
    ).fetchall()
    return [Gap(*row) for row in rows]


def chart_splits(connection: Connection, symbol: str) -> Sequence[ChartSplit]:
    """Return a symbol's splits up to today, oldest first."""
    rows = connection.execute(
        "select execution_date, split_from, split_to, effective_date, state from splits"
        " where symbol_id = (select id from symbols where ticker = %s)"
        " and execution_date <= market_today()"
        " order by execution_date, effective_date, adjustment_type, ratio",
        (symbol,),
    ).fetchall()
    return [ChartSplit(*row) for row in rows]


def pending_splits(connection: Connection, symbol: str | None, most: int) -> Sequence[PendingSplit]:
    """Return splits that are listed for today or later, of a symbol or of all, the next first."""
    rows = connection.execute(_PENDING, {"symbol": symbol, "most": most}).fetchall()
    return [PendingSplit(*row) for row in rows]


_PENDING = """
select s.ticker, p.adjustment_type, p.effective_date, p.split_from, p.split_to
  from splits p join symbols s on s.id = p.symbol_id
 where p.effective_date >= market_today() and (%(symbol)s::text is null or s.ticker = %(symbol)s)
 order by p.effective_date, s.ticker, p.adjustment_type, p.ratio
 limit %(most)s
"""
