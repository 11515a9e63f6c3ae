"""What users write on the command line, as values; every refusal names the field.

What belongs here: pure parsing. What does not: the commands.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.announced import Change, require_sense
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.policy.interest import SOURCES
from swiftbolt_assets.settings import PLAIN_UUID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from swiftbolt_assets.market.sessions import Calendar, Session

    T = TypeVar("T", int, None)

DEFAULT_DAYS = 730
_LONGEST_DAYS = 36_500
_PORTS = 65_535
#: The highest of the platform's default ports; an offset moves all of them.
_HIGHEST_PORT = 8_900
_PRIORITIES = 1_000_000
_SLOTS = 1_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_SHOWN = 24
#: `date.fromisoformat` alone takes week dates, too.
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d", re.ASCII)
_REASON = 200


@dataclass(frozen=True)
class Window:
    """The days that a command speaks of.

    Attributes:
        first: first New York date.
        last: last New York date, today at the latest.
        sessions: the sessions in between, ascending, today's included.

    """

    first: date
    last: date
    sessions: tuple[Session, ...]

    def by(self, calendar: Calendar) -> Window:
        """Return the same days with the sessions of the calendar in force.

        Raises:
            UsageError: the exchange is closed all the time, as was announced lately.

        """
        sessions = tuple(calendar.between(self.first, self.last))
        if not sessions:
            raise UsageError(
                f"window: the exchange is closed from {self.first} to {self.last}, see "
                "swiftbolt calendar list; widen the window"
            )
        return replace(self, sessions=sessions)


def parse_symbols(texts: Sequence[str]) -> list[str]:
    """Return canonical symbols in the order given, none twice.

    Raises:
        UsageError: one of them is no ticker, or there is none.

    """
    if not texts:
        raise UsageError("symbol: none is given; name at least one, such as AAPL")
    return list(dict.fromkeys(parse_symbol(text) for text in texts))


def parse_window(
    days: str | None, start: str | None, end: str | None, *, today: date, first_date: date
) -> Window:
    """Return the days of `--days N`, or of `--from D --to D`.

    `--days N` means every session d with today - N <= d <= today; without either it is 730 days,
    or what lies after the first partition.

    Raises:
        UsageError: a value is impossible; names the option.

    """
    if days is not None and (start is not None or end is not None):
        raise UsageError("days: give either --days or --from and --to, not both")
    if start is None and end is None:
        first, last, field = _first_of_days(days, today, first_date), today, "days"
    else:
        field = "from"
        first = first_date if start is None else _date("from", start)
        last = today if end is None else _date("to", end)
    for name, day in (("from", first), ("to", last)):
        if day > today:
            raise UsageError(f"{name}: {day} is in the future; the last day is today, {today}")
    if last < first_date:
        raise UsageError(f"to: {last} is before the first partition {first_date}; use a later day")
    if first > last:
        raise UsageError(f"{field}: {first} is after {last}; turn the two around")
    if first < first_date:
        raise UsageError(
            f"{field}: it reaches back to {first}, before the first partition {first_date}; "
            f"start there, or set SWIFTBOLT_FIRST_DATE"
        )
    sessions = tuple(xnys().between(first, last))
    if not sessions:
        raise UsageError(
            f"{field}: the exchange is closed from {first} to {last}; widen the window"
        )
    return Window(first, last, sessions)


def parse_priority(text: str | None, default: T) -> int | T:
    """Return a priority; higher goes first.

    Raises:
        UsageError: it is not a whole number of a sane size.

    """
    if text is None:
        return default
    return _whole("priority", text, least=0, most=_PRIORITIES)


def parse_window_days(text: str | None) -> int | None:
    """Return how many days back a definition reaches, None where nothing was given.

    Raises:
        UsageError: it is not a whole number of a sane size.

    """
    return None if text is None else _whole("window", text, least=1, most=_LONGEST_DAYS)


def parse_change(day: str, closes: str | None, reason: str, *, is_closed: bool) -> Change:
    """Return what was announced of a day, from `--closed` or `--closes HH:MM`.

    Raises:
        UsageError: a value is impossible, or makes no sense on the calendar on board.

    """
    if is_closed == (closes is not None):
        raise UsageError("calendar add: give either --closed or --closes HH:MM")
    if len(reason) > _REASON:
        raise UsageError(f"reason: it is longer than {_REASON} characters; shorten it")
    at = None if closes is None else _time("closes", closes)
    change = Change(parse_day(day), at, " ".join(reason.split()))
    require_sense(xnys(), change)
    return change


def parse_day(text: str) -> date:
    """Return a day.

    Raises:
        UsageError: it is none.

    """
    return _date("day", text)


def parse_source(text: str | None) -> str:
    """Return by what people look at a symbol.

    Raises:
        UsageError: none is given, or it is none.

    """
    *most, last = sorted(SOURCES, key=len)
    known = f"use --source {', '.join(most)} or {last}"
    if text is None:
        raise UsageError(f"source: none is given; {known}")
    source = text.strip()
    if source not in SOURCES:
        raise UsageError(f"source: {_short(text)} is unknown; {known}")
    return source


def parse_user(text: str) -> UUID:
    """Return a user's id.

    Raises:
        UsageError: it is not a UUID.

    """
    plain = text.strip()
    if not PLAIN_UUID.fullmatch(plain):
        raise UsageError(
            f"user: {_short(text)} is not a UUID; use the id of a row of auth.users, or leave "
            "--user out"
        )
    return UUID(plain)


def parse_port_offset(text: str) -> int:
    """Return what is added to every port.

    Raises:
        UsageError: it is not a whole number, or moves a port out of range.

    """
    return _whole("port-offset", text, least=0, most=_PORTS - _HIGHEST_PORT)


def parse_slots(text: str | None) -> int:
    """Return how many runs a worker takes at once; a slot for each processor when not given.

    Raises:
        UsageError: it is not a whole number of a sane size.

    """
    if text is None:
        return os.cpu_count() or 1
    return _whole("slots", text, least=1, most=_SLOTS)


def parse_worker_name(text: str) -> str:
    """Return what a worker is called.

    Raises:
        UsageError: it is empty, long, or holds other letters than names of machines do.

    """
    if not _NAME.fullmatch(text.strip()):
        raise UsageError(f"name: {_short(text)} is no name; use letters, digits, dots and dashes")
    return text.strip()


def _first_of_days(days: str | None, today: date, first_date: date) -> date:
    if days is None:
        return max(today - timedelta(days=DEFAULT_DAYS), first_date)
    count = _whole("days", days, least=1, most=_LONGEST_DAYS)
    return today - timedelta(days=count)


def _whole(field: str, text: str, *, least: int, most: int) -> int:
    shown = _short(text)
    plain = text.strip()
    if not (plain.isascii() and plain.removeprefix("-").isdigit()):
        raise UsageError(f"{field}: {shown} is not a whole number; use {least} to {most}")
    # Longer than any bound, and int() of a huge text is slow.
    if len(plain) > _SHOWN or not least <= int(plain) <= most:
        raise UsageError(f"{field}: {shown} is out of range; use {least} to {most}")
    return int(plain)


def _date(field: str, text: str) -> date:
    plain = text.strip()
    try:
        day = date.fromisoformat(plain) if _DATE.fullmatch(plain) else None
    except ValueError:
        day = None
    if day is None:
        raise UsageError(f"{field}: {_short(text)} is not a date; use YYYY-MM-DD")
    return day


def _time(field: str, text: str) -> time:
    plain = text.strip()
    try:
        at = time.fromisoformat(plain) if _TIME.fullmatch(plain) else None
    except ValueError:
        at = None
    if at is None:
        raise UsageError(f"{field}: {_short(text)} is not a time; use HH:MM, New York time")
    return at


def _short(text: str) -> str:
    """Return what a user wrote, fit for one line."""
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
