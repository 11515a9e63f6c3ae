"""Bars of one symbol by the session that they belong to.

What belongs here: filtering, joining and counting of bar frames (`BAR_SCHEMA`). What does not:
aggregation (`resample.py`) and what a count means (`coverage.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.market.resample import session_bounds, starts_us

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from swiftbolt_assets.market.sessions import Session


def of_sessions(bars: pl.DataFrame, sessions: Sequence[Session]) -> pl.DataFrame:
    """Keep the bars that start in regular hours of the sessions (ascending)."""
    if bars.is_empty() or not sessions:
        return bars.clear()
    opens, closes = session_bounds(sessions)
    ts = starts_us(bars)
    index = np.searchsorted(opens, ts, side="right") - 1
    return bars.filter(pl.Series((index >= 0) & (ts < closes[index])))


def starts_by_day(bars: pl.DataFrame, sessions: Sequence[Session]) -> dict[date, set[datetime]]:
    """Return the starts of the bars of each of the sessions, all of which hold the bars.

    Args:
        bars: of one symbol, ascending by `ts`, no `ts` twice.
        sessions: ascending.

    """
    counts = counts_by_day(bars, sessions)
    starts: dict[date, set[datetime]] = {}
    row = 0
    for session in sessions:
        count = counts[session.day]
        # As many aligned starts as quarter hours: these are all of them.
        starts[session.day] = set(
            session.slot_starts()
            if count == session.slots
            else bars["ts"].slice(row, count).to_list()
        )
        row += count
    return starts


def counts_by_day(bars: pl.DataFrame, sessions: Sequence[Session]) -> dict[date, int]:
    """Return how many bars each of the sessions (ascending) has; they hold all of the bars."""
    if bars.is_empty():
        return dict.fromkeys((session.day for session in sessions), 0)
    opens, _ = session_bounds(sessions)
    index = np.searchsorted(opens, starts_us(bars), side="right") - 1
    counts = np.bincount(index, minlength=len(sessions)).tolist()
    return dict(zip((session.day for session in sessions), counts, strict=True))


def newest_wins(fresh: pl.DataFrame, stored: pl.DataFrame | None) -> pl.DataFrame:
    """Return the fresh bars and the stored ones at other times, ascending."""
    if stored is None or stored.is_empty():
        return fresh
    return pl.concat([fresh, stored.join(fresh, on="ts", how="anti")]).sort("ts")
