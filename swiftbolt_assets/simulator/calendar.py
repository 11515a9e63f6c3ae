"""The simulator's own exchange calendar: New York sessions and closes, by rule.

What belongs here: NYSE holidays, early closes and closures as functions of the date, for the
years 2015 to 2030, and the four instants of a trading day. What does not: prices (`prices.py`).
The platform reads another calendar (a table made from a library), so that an error in either one
shows as a difference. Source of the rules: NYSE Rule 7.2 and the exchange's yearly notices.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_YORK = ZoneInfo("America/New_York")
FIRST_YEAR, LAST_YEAR = 2015, 2030

MINUTE_MS = 60_000
EXTENDED_OPEN = 4 * 60
REGULAR_OPEN = 9 * 60 + 30
FULL_CLOSE, HALF_CLOSE = 16 * 60, 13 * 60
FULL_EXTENDED_CLOSE, HALF_EXTENDED_CLOSE = 20 * 60, 17 * 60

# The funeral of George H. W. Bush and that of Jimmy Carter.
_CLOSURES = {
    date(2018, 12, 5): "National Day of Mourning",
    date(2025, 1, 9): "National Day of Mourning",
}
_JUNETEENTH_SINCE = 2022
_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day; the four times are minutes after midnight in New York."""

    day: date
    midnight_ms: int
    closes: int
    extended_closes: int

    @property
    def is_half(self) -> bool:
        """Return whether the regular session ends at 13:00."""
        return self.closes == HALF_CLOSE

    @property
    def minutes(self) -> int:
        """Return the length of the extended session: 960, or 780 on a half day."""
        return self.extended_closes - EXTENDED_OPEN

    def at(self, minute: int) -> int:
        """Return the epoch milliseconds of a minute after midnight (no switch on a weekday)."""
        return self.midnight_ms + minute * MINUTE_MS


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """Return the nth weekday (Monday = 0) of a month; -1 is the last one."""
    if nth < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - _ONE_DAY
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _easter(year: int) -> date:
    """Return Easter Sunday (the anonymous Gregorian algorithm)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    skipped, leap = divmod(century, 4)
    shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - skipped - shift + 15) % 30
    quad, rest = divmod(of_century, 4)
    week = (32 + 2 * leap + 2 * quad - epact - rest) % 7
    fix = (golden + 11 * epact + 22 * week) // 451
    month, day = divmod(epact + week - 7 * fix + 114, 31)
    return date(year, month, day + 1)


def _observed(day: date) -> date:
    """Return the weekday on which a fixed holiday is kept."""
    if day.weekday() == _SATURDAY:
        return day - _ONE_DAY
    return day + _ONE_DAY if day.weekday() == _SUNDAY else day


@cache
def holidays(year: int) -> dict[date, str]:
    """Return the closed weekdays of a year with their names."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return {}
    named = {
        nth_weekday(year, 1, _MONDAY, 3): "Martin Luther King, Jr. Day",
        nth_weekday(year, 2, _MONDAY, 3): "Washington's Birthday",
        _easter(year) - timedelta(days=2): "Good Friday",
        nth_weekday(year, 5, _MONDAY, -1): "Memorial Day",
        _observed(date(year, 7, 4)): "Independence Day",
        nth_weekday(year, 9, _MONDAY, 1): "Labor Day",
        nth_weekday(year, 11, _THURSDAY, 4): "Thanksgiving Day",
        _observed(date(year, 12, 25)): "Christmas Day",
    }
    new_year = date(year, 1, 1)
    # A New Year's Day on a Saturday is not kept on the Friday, which ends the old year's books.
    if new_year.weekday() != _SATURDAY:
        named[_observed(new_year)] = "New Year's Day"
    if year >= _JUNETEENTH_SINCE:
        named[_observed(date(year, 6, 19))] = "Juneteenth"
    named |= {day: name for day, name in _CLOSURES.items() if day.year == year}
    return named


@cache
def early_closes(year: int) -> dict[date, str]:
    """Return the half days (13:00) of a year: 3 July, Thanksgiving Friday, Christmas Eve."""
    candidates = {
        date(year, 7, 3): "Independence Day",
        nth_weekday(year, 11, _THURSDAY, 4) + _ONE_DAY: "Thanksgiving",
        date(year, 12, 24): "Christmas",
    }
    return {day: name for day, name in candidates.items() if is_session(day)}


def is_session(day: date) -> bool:
    """Return whether the exchange opens on a date of the years covered."""
    return (
        FIRST_YEAR <= day.year <= LAST_YEAR
        and day.weekday() < _SATURDAY
        and day not in holidays(day.year)
    )


@lru_cache(maxsize=4096)
def session(day: date) -> Session | None:
    """Return the trading day of a date, or None when the exchange is closed."""
    if not is_session(day):
        return None
    half = day in early_closes(day.year)
    return Session(
        day=day,
        midnight_ms=midnight_ms(day),
        closes=HALF_CLOSE if half else FULL_CLOSE,
        extended_closes=HALF_EXTENDED_CLOSE if half else FULL_EXTENDED_CLOSE,
    )


def sessions(first: date, last: date, *, newest_first: bool = False) -> Iterator[Session]:
    """Yield the trading days of `first`..`last`, both included; years not covered have none."""
    first = max(first, date(FIRST_YEAR, 1, 1))
    last = min(last, date(LAST_YEAR, 12, 31))
    days = range(first.toordinal(), last.toordinal() + 1)
    for ordinal in reversed(days) if newest_first else days:
        found = session(date.fromordinal(ordinal))
        if found is not None:
            yield found


def previous_session(day: date) -> date:
    """Return the last session before a date (the date before it where the calendar ends)."""
    found = next(sessions(day - timedelta(days=10), day - _ONE_DAY, newest_first=True), None)
    return found.day if found else day - _ONE_DAY


@lru_cache(maxsize=4096)
def midnight_ms(day: date) -> int:
    """Return the epoch milliseconds of midnight in New York."""
    return int(datetime.combine(day, time(0), NEW_YORK).timestamp()) * 1000


def from_ms(stamp: int) -> datetime:
    """Return epoch milliseconds as an instant in New York."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=stamp)).astimezone(NEW_YORK)


def to_ms(instant: datetime) -> int:
    """Return an aware instant as epoch milliseconds, rounded down."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
