"""What a whole reply says of its own trustworthiness, before its bars are judged.

A reply whose clock is wrong holds bars each of which could be. Together they give themselves away:
regular hours hold the bulk of a day's trading, the extended session ends at 20:00 New York time and
begins at 04:00, and a day without a session has no trades. For each shift by half hours up to
twelve hours the day's trading is looked at as if it were undone. A session speaks for a shift when
more of its trading would lie in regular hours, and loudly when bars at impossible hours would
come home, too; sessions in a row add up, and each that speaks against it takes away, so that one
side of a change of daylight saving is found, and all from some date on.

Volume counts by a power below one, so that a closing auction or the hour after earnings outweighs
no day. One session decides nothing unless bars at impossible hours support it: a halt after a busy
morning before the open looks just like a shift. What cannot be told: a shift by a quarter of an
hour, or by whole days (but for bars on days without a session); by half an hour
in fewer than five to ten sessions of a symbol that trades little before the open and to the end of
the evening; any in fewer than five
sessions of a reply without extended hours; and any of a thin symbol with a handful of bars a
session, since one with five or less says nothing.

What belongs here: doubts about the reply. What does not: single bars (`validation.py`,
`outliers.py`), what it proves (`coverage.py`), and the units of its stamps (a provider's folder).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.market.resample import session_bounds, starts_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swiftbolt_assets.market.sessions import Session

    Floats = NDArray[np.float64]

_SLOT_US = 15 * 60 * 1_000_000
_DAY = 96
#: Quarter hours after midnight in New York.
_OPEN, _FIRST, _LAST = 38, 16, 80
#: Half hours, 0 first.
_SHIFTS = np.array([0, *range(-48, 0, 2), *range(2, 49, 2)])

#: The power of the volume that counts.
_DAMPED = 0.6
#: A session says at most so much by its shape: the share of its trading that would come home.
_SHAPE = 0.15
#: Less than that is chance, and bars at impossible hours do not make it more.
_CHANCE = 0.02
#: So much of an honest session's trading lies in regular hours, even of an early close.
_REGULAR = 0.6
#: What one bar at an impossible hour adds, and for how many.
_IMPOSSIBLE, _TELLING = 0.125, 4
#: Together so much must speak for a shift: four sessions by their shape alone, one with both.
_ENOUGH = 0.5
#: With five bars or less a session says nothing, with twenty all that it can.
_FEW, _MANY = 5, 20
#: So many bars without a time, and a larger share, are no accident.
_TIMELESS, _TIMELESS_SHARE = 4, 0.05
#: Stray prints on days without a session are fewer than so many, or a smaller share.
_STRAYS, _STRAY_SHARE = 4, 0.02


def distrust(bars: pl.DataFrame, sessions: Sequence[Session]) -> str | None:
    """Return what is wrong with a reply as a whole, in one line; None to go on to its bars.

    Args:
        bars: `BAR_SCHEMA` as delivered: any order, any value null or not finite.
        sessions: all of the window that was asked for, ascending.

    """
    timed = bars.filter(pl.col("ts").is_not_null()) if bars["ts"].null_count() else bars
    if timed.is_empty():
        return None if bars.is_empty() else f"none of its {bars.height:,} bars has a time"
    lost = bars.height - timed.height
    if lost >= _TIMELESS and lost > _TIMELESS_SHARE * bars.height:
        # They may be any that are absent.
        return f"{lost:,} of its {bars.height:,} bars have no time"
    if not sessions:
        return None
    opens, closes = session_bounds(sessions)
    midnights = opens - _OPEN * _SLOT_US
    ts = starts_us(timed)
    place = np.searchsorted(midnights, ts, side="right") - 1
    slot = (ts - midnights[place]) // _SLOT_US
    within = (place >= 0) & (slot < _DAY)
    cell = place * _DAY + slot
    if not within.all():
        said = _on_closed_days(ts, place, slot, len(sessions))
        if said is not None:
            return said
        timed, cell = timed.filter(pl.Series(within)), cell[within]
    volume = np.nan_to_num(timed["volume"].to_numpy(), nan=0.0, posinf=0.0, neginf=0.0)
    size = len(sessions) * _DAY
    trading: Floats = np.bincount(cell, np.maximum(volume, 0.0) ** _DAMPED, size).astype(float)
    counts: Floats = np.bincount(cell, minlength=size).astype(float)
    days = len(sessions), _DAY
    return _shifted(
        trading.reshape(days), counts.reshape(days), (closes - opens) // _SLOT_US, sessions
    )


def _on_closed_days(
    ts: NDArray[np.int64], place: NDArray[np.int64], slot: NDArray[np.int64], sessions: int
) -> str | None:
    """Tell of bars between two sessions on days that have none, at hours when trading is possible.

    What lies before or after all sessions is no matter of the clock.
    """
    of_day = slot % _DAY
    closed = (place >= 0) & (place < sessions - 1) & (slot >= _DAY)
    closed &= (of_day >= _FIRST) & (of_day < _LAST)
    found = int(closed.sum())
    if found < _STRAYS or found < _STRAY_SHARE * len(ts):
        return None
    first = np.datetime64(int(ts[closed].min()), "us").item()
    return f"{found:,} of its {len(ts):,} bars lie on days without a session, the first at {first}Z"


def _shifted(
    trading: Floats,
    counts: Floats,
    slots: NDArray[np.int64],
    sessions: Sequence[Session],
) -> str | None:
    """Tell of sessions in a row that stand at other hours than they should.

    Args:
        trading: by session and quarter hour of the New York day.
        counts: bars, likewise.
        slots: quarter hours of each session.
        sessions: ascending.

    """
    total = np.maximum(trading.sum(axis=1, keepdims=True), 1e-9)
    # The closing auction prints at the close.
    share = _inside(trading, _OPEN, slots + 1) / total
    gain = share - share[:, :1]
    bars = counts.sum(axis=1, keepdims=True)
    regular = _inside(counts, _OPEN, slots + 1)
    # A single large print after the close carries volume, but no bars, out of regular hours.
    likely = (gain > _CHANCE) & (share > _REGULAR) & (regular >= regular[:, :1])
    extended = _inside(counts, _FIRST, np.full(len(slots), _LAST - _FIRST))
    # A shift by half an hour can bring two bars to impossible hours at most: they tell all it can.
    most = np.clip(np.abs(_SHIFTS), 1, _TELLING)
    home = np.clip(extended - extended[:, :1], 0, most) * (_TELLING / most)
    speaks = np.where(likely, np.minimum(gain, _SHAPE) + _IMPOSSIBLE * home, 0)
    said = np.clip((bars - _FEW) / (_MANY - _FEW), 0, 1) * (speaks + np.clip(gain, -_SHAPE, 0))
    if np.maximum(said, 0).sum(axis=0).max() < _ENOUGH:
        return None
    found = []
    for shift in range(1, len(_SHIFTS)):
        most, first, last = _loudest_run(said[:, shift].tolist())
        if most >= _ENOUGH:
            found.append((gain[first : last + 1, shift].sum(), shift, first, last))
    if not found:
        return None
    _, shift, first, last = max(found)
    hours = abs(_SHIFTS[shift]) / 4
    part = slice(first, last + 1)
    return (
        f"its bars from {sessions[first].day} to {sessions[last].day} stand {hours:g} h too "
        f"{'late' if _SHIFTS[shift] > 0 else 'early'}: {share[part, 0].mean():.0%} of the trading "
        f"lies in regular hours, {share[part, shift].mean():.0%} would without that"
    )


def _inside(amounts: Floats, first: int, width: NDArray[np.int64]) -> Floats:
    """Return what of each row lies in `width` quarter hours from `first` on, by shift.

    Around midnight of the same day: what a shift carried over it came from a day much the same.
    """
    sums = np.zeros((len(amounts), 2 * _DAY + 1))
    np.cumsum(np.tile(amounts, 2), axis=1, out=sums[:, 1:])
    starts = (first + _SHIFTS) % _DAY
    rows = np.arange(len(amounts))[:, None]
    found: Floats = sums[rows, starts + width[:, None]] - sums[rows, starts]
    return found


def _loudest_run(said: Sequence[float]) -> tuple[float, int, int]:
    """Return the greatest sum of numbers in a row, with the positions of its ends (Kadane)."""
    best, sum_, since = (0.0, 0, 0), 0.0, 0
    for at, one in enumerate(said):
        if sum_ <= 0:
            sum_, since = 0.0, at
        sum_ += one
        best = max(best, (sum_, since, at))
    return best
