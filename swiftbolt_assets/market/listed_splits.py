"""Which listed splits the prices show, and on which day.

A provider lists a split twice with other ids, a day or a weekend off, or one that never happened.
Prices know better: a split counts on the day on which they show it, within three sessions of its
listing. The most likely story wins: which of the listings happened in which night, given how each
night would look without its splits (t with three degrees of freedom), and how rarely a list errs.
A list errs in the ratio, too: what a night rests away from it must be no more than this symbol's
largest nights, or likelier than that another ratio, a common one or any, is what happened.
Where prices cannot tell, because none are there yet or the ratio is too small to be seen, the
list counts as it stands; the same split listed twice close together counts once all the same.

What belongs here: that judgement, and the nights that do not fit. What does not: folding
(`splits.py`), how unlikely a jump is (`nights.py`), where a judgement is kept
(`resources/bars/split_judging.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise, product
from math import exp, inf, log, log1p, sqrt
from typing import TYPE_CHECKING

from swiftbolt_assets.market.nights import density, jumps, large, nights_of, usual

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from swiftbolt_assets.market.nights import Edges, Night
    from swiftbolt_assets.market.sessions import Calendar
    from swiftbolt_assets.market.splits import Split

#: Sessions between a listing and the night that shows its split, at most.
REACH = 3
#: A smaller split drowns in the symbol's own nights: so many of the usual ones, as t has it, are
#: exceeded half by one in a hundred. One of 5:4 is seen in any.
_VISIBLE_NIGHTS, _VISIBLE = 10.0, log(1.25) - 1e-9
#: How often a listing is on the day, one session off, two, three; and how often nothing happened.
_OFF = (0.0, log(0.01), log(0.004), log(0.002))
_NEVER = log(0.003)
#: A night that shows a split rests within this share of it, at most.
_FITS = 0.5
#: So often may that be what 99 % of the symbol's nights stay below.
_ABOVE = 1.5
#: How often a list names another ratio than happened: for each common one, and any within e.
_OTHER = log(5e-4)
_COMMON = (1.25, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
_COMMON_SHIFTS = [sign * log(ratio) for ratio in _COMMON for sign in (1, -1)]
#: So many listings close together are weighed at once; their stories are multiplied out.
_AT_ONCE = 4


class ListedState(StrEnum):
    """What the prices say of a listed split; the last two fold nothing."""

    LISTED = "listed"  # they cannot tell: none are there yet, or the ratio is too small
    SHOWN = "shown"  # they show it on its day
    MOVED = "moved"  # they show it in another night close by
    REPEATED = "repeated"  # the same split is listed a second time
    DOUBTFUL = "doubtful"  # they are there and do not show it


@dataclass(frozen=True, slots=True)
class Judged:
    """A listed split, and what the prices say of it.

    Attributes:
        listed: as the provider lists it.
        state: what they say.
        effective: the day on which it counts, None when it does not.
        ratio: the close before divided by the open after, of the night that shows it or in which
            it was to be seen; None where no price is.

    """

    listed: Split
    state: ListedState
    effective: date | None
    ratio: float | None

    @property
    def folds(self) -> Split | None:
        """Return the split that prices are folded by, None when none is."""
        return None if self.effective is None else replace(self.listed, day=self.effective)


class Doubt(StrEnum):
    """What does not fit between the prices and the table."""

    UNEXPLAINED = "the price jumps like a split, but no split is known"
    NOT_SHOWN = "a split is known, but the price does not show it"


@dataclass(frozen=True, slots=True)
class Finding:
    """A night whose prices and splits do not fit.

    Attributes:
        day: the session before which it happened, or the listed day.
        doubt: what does not fit.
        ratio: the last close before divided by the open after.
        expected: what the splits that count, or the one in doubt, make of it; 1 without any.

    """

    day: date
    doubt: Doubt
    ratio: float
    expected: float


def judge(listed: Sequence[Split], sessions: Sequence[Edges], calendar: Calendar) -> list[Judged]:
    """Return what the prices say of each listed split, in its order.

    Args:
        listed: of one symbol, in any order; two may be of one day.
        sessions: those with bars, ascending; some months around the listings are enough.
        calendar: the exchange's sessions.

    """
    nights = nights_of(sessions, calendar)
    rests = [night.shift for night in nights]
    scale = usual(rests)
    least = min(_VISIBLE_NIGHTS * scale, _VISIBLE)
    events = sorted(
        (_Event.of(split, nights, at, least, calendar) for at, split in enumerate(listed)),
        key=_place,
    )
    listed_near = {number for event in events for number in event.near}
    most = _ABOVE * large([night for at, night in enumerate(nights) if at not in listed_near])
    for event in events:
        if not event.is_visible and event.own is not None:
            rests[event.own] -= event.size
    for chunk in _chunks([event for event in events if event.is_visible]):
        for event, night in zip(chunk, _story(chunk, nights, rests, (scale, most)), strict=True):
            event.night = night
            if night is not None:
                rests[night] -= event.size
    found = {event.at: _judged(event, nights, calendar) for event in events}
    _once(events, found)
    return [found[at] for at in range(len(listed))]


def findings(
    sessions: Sequence[Edges], judged: Sequence[Judged], calendar: Calendar
) -> list[Finding]:
    """Return the nights whose prices and splits do not fit, ascending.

    Args:
        sessions: those with bars, ascending; a night lies between each and the next.
        judged: the symbol's splits.
        calendar: the exchange's sessions.

    """
    nights = nights_of(sessions, calendar)
    counting = [split for one in judged if (split := one.folds) is not None]
    expected = [
        -sum(log(s.factor) for s in counting if before.day < s.day <= after.day)
        for before, after in pairwise(sessions)
    ]
    found = [
        Finding(nights[at].after, Doubt.UNEXPLAINED, exp(nights[at].shift), exp(expected[at]))
        for at in jumps(sessions, expected, calendar)
    ]
    found += [
        Finding(one.listed.day, Doubt.NOT_SHOWN, one.ratio or 1.0, 1 / one.listed.factor)
        for one in judged
        if one.state is ListedState.DOUBTFUL
    ]
    return sorted(found, key=lambda one: one.day)


@dataclass(slots=True)
class _Event:
    """A listing among the nights.

    Attributes:
        at: its number in the list.
        split: as listed.
        session: the number of its own session, or of the first after it.
        size: the shift that it makes of a night.
        own: the night in which it is listed, None where no bars are.
        near: distance in sessions by night, for each that may show it.
        is_visible: whether a night shows it at all.
        night: the one that does.

    """

    at: int
    split: Split
    session: int
    size: float
    own: int | None
    near: dict[int, int]
    is_visible: bool
    night: int | None = None

    @classmethod
    def of(
        cls, split: Split, nights: Sequence[Night], at: int, least: float, calendar: Calendar
    ) -> _Event:
        session = calendar.position(split.day)
        near = {
            number: away
            for number, night in enumerate(nights)
            if (away := max(night.first - session, session - night.last, 0)) <= REACH
        }
        own = next((number for number, away in near.items() if away == 0), None)
        size = -log(split.factor)
        return cls(at, split, session, size, own, near, abs(size) >= least)


def _place(event: _Event) -> tuple[int, int]:
    return event.session, event.at


def _chunks(events: Sequence[_Event]) -> Iterator[list[_Event]]:
    """Yield listings that may contend for a night together, a few at once."""
    chunk: list[_Event] = []
    for event in events:
        if chunk and (len(chunk) == _AT_ONCE or event.session - chunk[-1].session > 2 * REACH):
            yield chunk
            chunk = []
        chunk.append(event)
    if chunk:
        yield chunk


def _story(
    chunk: Sequence[_Event],
    nights: Sequence[Night],
    rests: Sequence[float],
    usual_and_most: tuple[float, float],
) -> tuple[int | None, ...]:
    """Return the night of each listing in the most likely story; None for one without."""
    scale, most_usual = usual_and_most
    best: tuple[int | None, ...] = (None,) * len(chunk)
    most = -inf
    for story in product(*([*event.near, None] for event in chunk)):
        made: dict[int, float] = {number: 0.0 for event in chunk for number in event.near}
        likely = 0.0
        for event, number in zip(chunk, story, strict=True):
            if number is not None:
                made[number] += event.size
                likely += _OFF[event.near[number]]
            elif event.own is not None:
                likely += _NEVER
        for number, size in made.items():
            rest = rests[number] - size
            width = sqrt(nights[number].sessions)
            if size and (
                abs(rest) > _FITS * abs(size)
                or (
                    abs(rest) > most_usual * width
                    and not _is_its_ratio(rest, rests[number], scale * width)
                )
            ):
                break
            likely -= 2 * log1p((rest / scale / width) ** 2 / 3)
        else:
            if likely > most:
                best, most = story, likely
    return best


def _is_its_ratio(rest: float, shift: float, scale: float) -> bool:
    """Return whether a night is likelier a listed ratio's than one of another that is not listed.

    Args:
        rest: what the listed one leaves of it.
        shift: all of it.
        scale: of nights without splits.

    """
    other = max(density(shift - common, scale) for common in _COMMON_SHIFTS)
    return density(rest, scale) >= _OTHER + max(other, 0.0)


def _judged(event: _Event, nights: Sequence[Night], calendar: Calendar) -> Judged:
    shown = event.night if event.night is not None else event.own
    ratio = None if shown is None else exp(nights[shown].shift)
    if event.night is not None:
        night = nights[event.night]
        session = min(max(event.session, night.first), night.last)
        day = calendar.sessions[session].day
        state = ListedState.SHOWN if day == event.split.day else ListedState.MOVED
        return Judged(event.split, state, day, ratio)
    if event.is_visible and event.own is not None:
        return Judged(event.split, ListedState.DOUBTFUL, None, ratio)
    return Judged(event.split, ListedState.LISTED, event.split.day, ratio)


def _once(events: Sequence[_Event], found: dict[int, Judged]) -> None:
    """Let a split that is listed again close by count once: as shown, else as listed last.

    Two ratios for one day that prices do not tell apart are both in doubt.
    """
    for event in events:
        if found[event.at].state in {ListedState.SHOWN, ListedState.MOVED}:
            continue
        others = [
            other
            for other in events
            if other is not event
            and other.split.factor == event.split.factor
            and abs(other.session - event.session) <= REACH
            and found[other.at].effective is not None
        ]
        if any(
            found[other.at].state is not ListedState.LISTED or _place(other) > _place(event)
            for other in others
        ):
            found[event.at] = replace(found[event.at], state=ListedState.REPEATED, effective=None)
    unseen = [one for one in events if one.is_visible and found[one.at].effective == one.split.day]
    for event in unseen:
        if found[event.at].state is ListedState.LISTED and any(
            other.split.day == event.split.day and other.split.factor != event.split.factor
            for other in unseen
        ):
            found[event.at] = replace(found[event.at], state=ListedState.DOUBTFUL, effective=None)
