"""Which days are lived through, and what of an unreliable provider goes wrong in them.

What belongs here: the plan of a seed. What does not: living through it (`days.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.simulator.unreliable import (
    HOUR_KINDS,
    Correction,
    Hour,
    Lapse,
    Unreliable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swiftbolt_assets.market.sessions import Session

#: Hours and minutes in New York at which the platform works; history of a day begins at midnight.
NIGHT, MORNING, NOON, CLOSE, EVENING = (0, 30), (6, 0), (12, 0), (16, 1), (20, 0)
STEPS = (NIGHT, MORNING, NOON, CLOSE, EVENING)
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True)
class Scenario:
    """What is lived through.

    Attributes:
        symbols: that are tracked.
        first: the first day.
        disturbed: days in which something goes wrong, from the first on.
        days: all of them; in the last ones what was late arrives and is asked for.
        seed: of what goes wrong.
        chance: that something is wrong with a symbol's session.
        latest: days after which what was lost is delivered, at most.
        outage: whether all symbols lose the same afternoon once.
        thin: symbols that nothing is lost of: their silence is their own.

    """

    symbols: tuple[str, ...]
    first: date
    disturbed: int
    days: int
    seed: int
    chance: float
    latest: float
    outage: bool = True
    thin: frozenset[str] = frozenset()

    def sessions(self, days: int) -> list[Session]:
        """Return the sessions of the first days."""
        return xnys().between(self.first, self.first + (days - 1) * _DAY)

    def unreliable(self) -> Unreliable:
        """Return what goes wrong.

        A bad hour a day, each around another step and of another kind. A lost day, half or hour,
        delivered one to `latest` days after the close; of those that are not whole days every third
        is wrong in its other bars, too, until then. Corrections that reach two sessions back. Highs
        a hundred times too high, for one to four days. Perhaps an afternoon that all symbols lose.
        """
        draw = Random(self.seed)  # noqa: S311 - chance, not secrets
        hit = [symbol for symbol in self.symbols if symbol not in self.thin]
        lapses: list[Lapse] = []
        corrections: list[Correction] = []
        sessions = self.sessions(self.disturbed)
        for session in sessions:
            for symbol in hit:
                if draw.random() >= self.chance:
                    continue
                whose = frozenset([symbol])
                if draw.random() < 0.5:  # noqa: PLR2004 - one in two
                    lapse = self._lapse(draw, session, whose)
                    lapses.append(lapse)
                    if lapse.ends - lapse.starts < _DAY and draw.randrange(3) == 0:
                        ends = session.opens, session.closes
                        corrections.append(Correction(*ends, whose, lapse.until))
                else:
                    corrections.append(_correction(draw, session, whose))
        if self.outage:
            closes = sessions[len(sessions) // 2].closes
            until = closes + draw.uniform(1, 3) * _DAY
            lapses.append(Lapse(closes - 2 * _HOUR, closes, frozenset(hit), until))
        hours = tuple(self._hours(draw))
        return Unreliable(self.seed, tuple(lapses), tuple(corrections), hours)

    def _lapse(self, draw: Random, session: Session, whose: frozenset[str]) -> Lapse:
        """Return a lost day, morning, afternoon or hour."""
        until = session.closes + draw.uniform(1, self.latest) * _DAY
        middle = session.opens + draw.randrange(4, session.slots - 4) * timedelta(minutes=15)
        starts, ends = draw.choice(
            (
                (session.opens - 12 * _HOUR, session.opens + 12 * _HOUR),
                (session.opens, middle),
                (middle, session.closes),
                (middle, middle + _HOUR),
            )
        )
        return Lapse(starts, ends, whose, until)

    def _hours(self, draw: Random) -> Iterator[Hour]:
        kinds, steps = list(HOUR_KINDS), list(STEPS)
        draw.shuffle(kinds)
        draw.shuffle(steps)
        # The first night fills the window: what it takes is not the month's.
        for number in range(1, self.disturbed):
            step = steps[number % len(steps)]
            starts = at(self.first + number * _DAY, step) - draw.uniform(0.2, 0.8) * _HOUR
            yield Hour(starts, starts + _HOUR, kind=kinds[number % len(kinds)])


def _correction(draw: Random, session: Session, whose: frozenset[str]) -> Correction:
    """Return wrong values that are put right before the session is looked at for the last time."""
    starts = session.opens + draw.randrange(session.slots - 4) * timedelta(minutes=15)
    if draw.randrange(4) == 0:
        until = session.closes + draw.uniform(1, 4) * _DAY
        minute = starts, starts + timedelta(minutes=1)
        return Correction(*minute, whose, until, prices=0.0, volume=0.0, high=100.0)
    first, second = xnys().between(session.day + _DAY, session.day + 14 * _DAY)[:2]
    until = first.closes + draw.random() * (second.closes - first.closes)
    return Correction(starts, starts + _HOUR, whose, until)


def at(day: date, step: tuple[int, int]) -> datetime:
    """Return the instant of a step."""
    return datetime(day.year, day.month, day.day, *step, tzinfo=NEW_YORK)
