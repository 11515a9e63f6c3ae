"""1-hour and 4-hour bars from 15-minute bars, by session.

Buckets start at the session's open (09:30 New York time), so a full day has seven 1-hour and two
4-hour bars, the last of each short, and the same number in winter and summer. Fixed or
"dynamic" windows are wrong half of the year: they step in absolute time from midnight.

What belongs here: the aggregation. What does not: when a session may be derived
(`coverage.py`: only from the whole session) and the SQL form that checks it
(`resources/bars/ledger.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.market.bars import TS, empty_bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.market.timeframes import Timeframe

_MICROSECONDS_A_MINUTE = 60_000_000


def resample(m15: pl.DataFrame, sessions: Sequence[Session], timeframe: Timeframe) -> pl.DataFrame:
    """Aggregate 15-minute bars to session-anchored buckets.

    Args:
        m15: bars of one symbol (`BAR_SCHEMA`), ascending by `ts`; bars outside the sessions are
            left out.
        sessions: the sessions to derive, ascending.
        timeframe: the target.

    Returns:
        bars of `BAR_SCHEMA`, ascending: first open, highest high, lowest low, last close, summed
        volume and trades, volume-weighted vwap (null where no bar of the bucket has one).

    """
    if m15.is_empty() or not sessions:
        return empty_bars()
    opens, closes = session_bounds(sessions)
    ts = starts_us(m15)
    index = np.searchsorted(opens, ts, side="right") - 1
    inside = (index >= 0) & (ts < closes[index])
    if not inside.all():
        m15, ts, index = m15.filter(pl.Series(inside)), ts[inside], index[inside]
        if m15.is_empty():
            return empty_bars()
    step = timeframe.minutes * _MICROSECONDS_A_MINUTE
    bucket = opens[index] + (ts - opens[index]) // step * step
    first = np.flatnonzero(np.diff(bucket, prepend=-1))
    last = np.append(first[1:], len(bucket)) - 1
    volume = m15["volume"].to_numpy()
    return pl.DataFrame(
        [
            pl.Series("ts", bucket[first]).cast(TS),
            pl.Series("open", m15["open"].to_numpy()[first]),
            pl.Series("high", np.maximum.reduceat(m15["high"].to_numpy(), first)),
            pl.Series("low", np.minimum.reduceat(m15["low"].to_numpy(), first)),
            pl.Series("close", m15["close"].to_numpy()[last]),
            pl.Series("volume", np.add.reduceat(volume, first)),
            _weighted_mean(m15["vwap"], volume, first),
            _sum(m15["trade_count"], first),
        ]
    )


def _weighted_mean(
    values: pl.Series, weights: NDArray[np.float64], first: NDArray[np.intp]
) -> pl.Series:
    """Return each bucket's mean of the values that are not null; null without any weight."""
    plain = values.to_numpy()
    if values.null_count():
        absent = np.isnan(plain)
        plain, weights = np.where(absent, 0.0, plain), np.where(absent, 0.0, weights)
    total = np.add.reduceat(weights, first)
    means = np.full_like(total, np.nan)
    np.divide(np.add.reduceat(plain * weights, first), total, where=total > 0, out=means)
    return pl.Series(values.name, means, nan_to_null=True)


def _sum(counts: pl.Series, first: NDArray[np.intp]) -> pl.Series:
    """Return each bucket's sum of the counts that are not null; null where all are."""
    if not counts.null_count():
        return pl.Series(counts.name, np.add.reduceat(counts.to_numpy(), first))
    absent = np.isnan(counts.to_numpy())
    sums = pl.Series(counts.name, np.add.reduceat(counts.fill_null(0).to_numpy(), first))
    empty = np.logical_and.reduceat(absent, first)
    return sums.set(pl.Series(empty), None) if empty.any() else sums


def starts_us(bars: pl.DataFrame) -> NDArray[np.int64]:
    """Return the starts of bars, none of them null, as microseconds since 1970.

    By way of numpy: an expression costs polars 0.2 ms however short the column, and a reply has a
    dozen uses for this.
    """
    return bars["ts"].to_numpy().astype("datetime64[us]", copy=False).view(np.int64)


def session_bounds(sessions: Sequence[Session]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sessions' opens and closes as microseconds since 1970, in the given order."""
    opens = np.array([session.opens.timestamp() for session in sessions])
    closes = np.array([session.closes.timestamp() for session in sessions])
    return _whole_us(opens), _whole_us(closes)


def _whole_us(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return seconds.astype(np.int64) * 1_000_000
