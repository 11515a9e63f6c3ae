"""The nights between sessions, and which of their jumps are no market's own.

A split moves the price between a close and the next open. So do news; what tells the two apart is
how unlikely a jump is for this symbol, not its ratio. A symbol's usual night is the median of its
own; its tail is taken for that of Student's t with three degrees of freedom, fat as markets' are,
and a jump must also stand out above the largest nights that the symbol has shown. A short history
is eked out with an ordinary one. Beyond a factor of e no night is believed to be the market's own,
however many shares trade.

Volume helps, because a split leaves dollars as they were: where shares traded change by the same
factor as the price and stay there, a smaller jump is enough; where shares and dollars both swell
on the day, it was news.

What belongs here: pure arithmetic over the sessions of one symbol. What does not: which splits
are listed (`listed_splits.py`), reading sessions (`resources/bars/splits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log, log1p, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from swiftbolt_assets.market.sessions import Calendar

Values = np.ndarray[tuple[int], np.dtype[np.float64]]

#: An ordinary night of a symbol with no history, and the nights that this is worth.
_ORDINARY, _WORTH = 0.01, 12
#: The median of |t| with three degrees of freedom.
_MEDIAN_T = 0.7649
#: Its density at 0.
_PEAK_T = 0.3676
#: Usual nights that a jump must be: of t's tail that is one night in 900 years, or in 220.
_ALONE, _WITH_VOLUME = 80.0, 50.0
#: A jump must be so often what 99 % of the nights stay below.
_ABOVE_ALONE, _ABOVE_WITH_VOLUME = 3.0, 1.8
_LARGE = 0.99
#: Whatever the symbol's nights are: never less, never more. A factor of 3 is 1.0986.
_LEAST_ALONE, _LEAST_WITH_VOLUME, _MOST = 0.45, 0.35, 1.0
#: Sessions on each side whose volume is compared, and the fewest that say something.
_AROUND, _FEWEST = 10, 5
#: A day on which shares and dollars both are so many times the usual is one of news.
_SURGE, _SURGE_SCALES = 1.2, 3.0


@dataclass(frozen=True, slots=True)
class Edges:
    """The raw prices at both ends of a session.

    Attributes:
        day: the session's New York date.
        first_open: the open of its first bar, dollars.
        last_close: the close of its last bar, dollars.
        volume: shares traded; 0 where nobody counted.

    """

    day: date
    first_open: float
    last_close: float
    volume: float = 0.0


@dataclass(frozen=True, slots=True)
class Night:
    """What lies between a session with bars and the next.

    Attributes:
        after: the day of the later session.
        first: the earliest session that may show what happened, counted by the calendar.
        last: the later session, counted likewise.
        shift: logarithm of the close before divided by the open after; positive when it fell.

    """

    after: date
    first: int
    last: int
    shift: float

    @property
    def sessions(self) -> int:
        """Return over how many openings it goes."""
        return self.last - self.first + 1


def nights_of(sessions: Sequence[Edges], calendar: Calendar) -> list[Night]:
    """Return the nights between sessions, which ascend, counted by a calendar."""
    return [
        Night(
            after.day,
            calendar.position(before.day) + 1,
            calendar.position(after.day),
            log(before.last_close / after.first_open),
        )
        for before, after in pairwise(sessions)
    ]


def usual(shifts: Sequence[float] | Values) -> float:
    """Return the scale of a symbol's nights, as of t with three degrees of freedom."""
    if len(shifts) == 0:
        return _ORDINARY
    own = float(np.median(np.abs(shifts))) / _MEDIAN_T
    return (len(shifts) * own + _WORTH * _ORDINARY) / (len(shifts) + _WORTH)


def large(nights: Sequence[Night]) -> float:
    """Return what 99 % of a symbol's nights stay below; what no market does is left out."""
    sizes = [abs(night.shift) / sqrt(night.sessions) for night in nights]
    sizes = [size for size in sizes if size <= _MOST]
    return float(np.quantile(sizes, _LARGE)) if sizes else 0.0


def density(shift: float, scale: float) -> float:
    """Return the logarithm of the density of a night, as of t with three degrees of freedom."""
    return log(_PEAK_T / scale) - 2 * log1p((shift / scale) ** 2 / 3)


def stands_out(sessions: Sequence[Edges], calendar: Calendar) -> bool:
    """Return whether a night is worth a look at all: most symbols have none."""
    nights = nights_of(sessions, calendar)
    return any(abs(night.shift) > _LEAST_WITH_VOLUME for night in nights)


def jumps(sessions: Sequence[Edges], expected: Sequence[float], calendar: Calendar) -> list[int]:
    """Return the numbers of the nights that no market moves like that.

    Args:
        sessions: those with bars, ascending.
        expected: of each night the shift that known splits make, a logarithm.
        calendar: the exchange's sessions.

    """
    nights = nights_of(sessions, calendar)
    rests = np.array([night.shift for night in nights]) - np.asarray(expected)
    sizes = np.abs(rests) / np.sqrt([night.sessions for night in nights])
    volumes = _Volumes(sessions)
    found = []
    for at in np.flatnonzero(np.abs(rests) > _LEAST_WITH_VOLUME).tolist():
        others = np.delete(sizes, at)
        scale = usual(others) * sqrt(nights[at].sessions)
        large = float(np.quantile(others, _LARGE)) if others.size else 0.0
        size = abs(float(rests[at]))
        alone = max(_LEAST_ALONE, _ALONE * scale, _ABOVE_ALONE * large)
        backed = max(_LEAST_WITH_VOLUME, _WITH_VOLUME * scale, _ABOVE_WITH_VOLUME * large)
        if size > _MOST:
            found.append(at)
        elif volumes.surge(at):
            continue
        elif size > alone or (size > backed and volumes.follow(at, float(rests[at]))):
            found.append(at)
    return found


class _Volumes:
    """What the volumes of some sessions say of the nights between them."""

    def __init__(self, sessions: Sequence[Edges]) -> None:
        counts = np.array([session.volume for session in sessions])
        closes = np.array([session.last_close for session in sessions])
        with np.errstate(divide="ignore"):
            self._shares = np.log(counts)
        self._dollars = self._shares + np.log(closes)

    def follow(self, at: int, shift: float) -> bool:
        """Return whether the shares traded change as a split by `shift` makes them, and stay so."""
        before, after = self._shares[: at + 1][-_AROUND:], self._shares[at + 1 :][:_AROUND]
        if not (_speaks(before) and _speaks(after)):
            return False
        change = float(np.median(after) - np.median(before))
        return abs(change - shift) < abs(shift) / 2

    def surge(self, at: int) -> bool:
        """Return whether the day after a night is one of news: shares and dollars both swell."""
        return all(self._swells(values, at) for values in (self._shares, self._dollars))

    @staticmethod
    def _swells(values: Values, at: int) -> bool:
        before, day = values[: at + 1][-2 * _AROUND :], values[at + 1]
        if not (_speaks(before) and np.isfinite(day)):
            return False
        middle = np.median(before)
        spread = 1.4826 * float(np.median(np.abs(before - middle)))
        return bool(day - middle > max(_SURGE, _SURGE_SCALES * spread))


def _speaks(volumes: Values) -> bool:
    return volumes.size >= _FEWEST and bool(np.isfinite(volumes).all())
