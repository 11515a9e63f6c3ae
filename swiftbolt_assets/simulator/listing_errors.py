"""How splits are listed wrongly: seen at the provider, switched on here by symbol.

========  ==========================================================================
twice     listed on the session before, too, with another id
early     listed a session early
late      listed a session late
weekend   listed on the nearest Saturday
never     a split 2:1 is listed that never happened, ten sessions before today
missing   what happened is not listed
new_ids   each pull has other ids
========  ==========================================================================

What belongs here: the list that is told. What does not: what happened (`listings.py`), which the
prices show whatever is told.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.simulator.calendar import session
from swiftbolt_assets.simulator.listings import Split, number_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from swiftbolt_assets.simulator.listings import Listing

KINDS = ("twice", "early", "late", "weekend", "never", "missing", "new_ids")
_NEVER_SESSIONS = 10
_SATURDAY, _WEEK = 5, 7


class Told(NamedTuple):
    """A split as it is listed."""

    split: Split
    id: str


class ListingErrors:
    """The switch.

    Args:
        kinds: by symbol; it is read at each pull.

    """

    def __init__(self, kinds: Mapping[str, Sequence[str]]) -> None:
        self.kinds = kinds
        self._pulls = count(1)

    def told(self, listing: Listing, today: date) -> list[Told]:
        """Return a symbol's splits as they are listed today."""
        kinds = self.kinds.get(listing.symbol, ())
        happened = () if "missing" in kinds else listing.splits
        told = [replace(split, day=_listed(split.day, kinds)) for split in happened]
        if "twice" in kinds:
            told += [replace(split, day=_session(split.day, -1)) for split in happened]
        if "never" in kinds:
            told.append(Split(_session(today, -_NEVER_SESSIONS), 1, 2))
        salt = f"{next(self._pulls)}" if "new_ids" in kinds else ""
        return [
            Told(split, f"E{number_of(f'{listing.symbol}{split.day}{salt}'):016x}")
            for split in told
        ]


def parse_kinds(value: object) -> dict[str, tuple[str, ...]]:
    """Return the switches that a JSON object describes.

    Raises:
        UsageError: it is none, or a kind is unknown; the message names it.

    """
    if not isinstance(value, dict):
        raise UsageError('listings: the body is no JSON object; send one such as {"A": ["late"]}')
    for symbol, kinds in value.items():
        if not isinstance(kinds, list) or not all(kind in KINDS for kind in kinds):
            raise UsageError(f"{symbol}: {kinds!r} is not possible; kinds are {', '.join(KINDS)}")
    return {symbol: tuple(kinds) for symbol, kinds in value.items()}


def _listed(day: date, kinds: Collection[str]) -> date:
    if "early" in kinds:
        return _session(day, -1)
    if "late" in kinds:
        return _session(day, 1)
    if "weekend" in kinds:
        since = (day.weekday() - _SATURDAY) % _WEEK
        # Monday to Wednesday back, Thursday and Friday ahead.
        return day + timedelta(days=-since if since < _SATURDAY else _WEEK - since)
    return day


def _session(day: date, away: int) -> date:
    """Return the session so many before or after a date."""
    step = timedelta(days=1 if away > 0 else -1)
    for _ in range(abs(away)):
        day += step
        while session(day) is None:
            day += step
    return day
