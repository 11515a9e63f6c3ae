"""Whether a quarter hour without a trade was a halt: a busy symbol does not fall silent.

A provider leaves out the quarter hours without an eligible trade and does not say why. How often
a symbol trades does: bars carry the count of their trades (Polygon's `n`). Were trades independent
of each other, a quarter hour with a mean of m would have none with a chance of e^-m (Poisson). With
100 that is 4e-44; trades come in bursts and lunch is quieter than the open, but if only a quarter
of them stood for themselves it would still be e^-25, one in 70 billion, and two years of a symbol
have 13,000 quarter hours. So silence in a session whose median quarter hour has at least 100 trades
is a halt, of the symbol or of the whole market. A session that has too few bars to tell goes by its
neighbours, both of them.

It is an inference: the exchanges' own list of halts (nasdaqtrader.com, "Trade Halts") is not asked,
and a provider that has lost bars for good looks the same. Bars without a count (Tradier's) prove no
halt.

What belongs here: how busy sessions were, and the rule. What does not: whether an absence is
believed at all (`coverage.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.market.by_session import of_sessions
from swiftbolt_assets.market.resample import session_bounds, starts_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from swiftbolt_assets.market.sessions import Session

#: Trades in the median quarter hour of a busy session.
BUSY = 100.0
#: A session with fewer bars that carry a count does not tell how busy it is.
_TELLING = 4


def paces(bars: pl.DataFrame, sessions: Sequence[Session]) -> dict[date, float]:
    """Return the trades of the median quarter hour of each session that tells it, ascending.

    Args:
        bars: `BAR_SCHEMA`, ascending, of any hour and day.
        sessions: ascending.

    """
    counted = of_sessions(bars.filter(pl.col("trade_count").is_not_null()), sessions)
    if counted.is_empty() or not sessions:
        return {}
    opens, _ = session_bounds(sessions)
    place = np.searchsorted(opens, starts_us(counted), side="right") - 1
    first = np.flatnonzero(np.diff(place, prepend=-1))
    trades = np.split(counted["trade_count"].to_numpy(), first[1:])
    return {
        sessions[at].day: float(np.median(of_day))
        for at, of_day in zip(place[first].tolist(), trades, strict=True)
        if len(of_day) >= _TELLING
    }


def was_busy(day: date, known: Mapping[date, float]) -> bool:
    """Return whether a symbol traded so often on a day that silence means a halt.

    Args:
        day: a session's New York date.
        known: the trades of the median quarter hour by date (`paces`).

    """
    if day in known:
        return known[day] >= BUSY
    before = max((one for one in known if one < day), default=None)
    after = min((one for one in known if one > day), default=None)
    return before is not None and after is not None and min(known[before], known[after]) >= BUSY
