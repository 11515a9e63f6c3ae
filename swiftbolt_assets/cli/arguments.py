"""What users write on the command line, as values; every refusal names the field.

What belongs here: pure parsing. What does not: the commands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.symbols import parse_symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swiftbolt_assets.market.sessions import Session

DEFAULT_DAYS = 730
_LONGEST_DAYS = 36_500
_PORTS = 65_535
#: The highest of the platform's default ports; an offset moves all of them.
_HIGHEST_PORT = 8_900
_PRIORITIES = 1_000_000
_SHOWN = 24
#: `date.fromisoformat` alone takes week dates, too.
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


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


def parse_priority(text: str | None, default: int) -> int:
    """Return a priority; higher goes first.

    Raises:
        UsageError: it is not a whole number of a sane size.

    """
    if text is None:
        return default
    return _whole("priority", text, least=0, most=_PRIORITIES)


def parse_port_offset(text: str) -> int:
    """Return what is added to every port.

    Raises:
        UsageError: it is not a whole number, or moves a port out of range.

    """
    return _whole("port-offset", text, least=0, most=_PORTS - _HIGHEST_PORT)


def _first_of_days(days: str | None, today: date, first_date: date) -> date:
    if days is None:
        return max(today - timedelta(days=DEFAULT_DAYS), first_date)
    count = _whole("days", days, least=1, most=_LONGEST_DAYS)
    return today - timedelta(days=count)


def _whole(field: str, text: str, *, least: int, most: int) -> int:
    shown = ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
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
        shown = ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
        raise UsageError(f"{field}: {shown} is not a date; use YYYY-MM-DD")
    return day
