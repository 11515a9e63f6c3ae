"""`swiftbolt calendar`: closures and early closes that were announced since the release.

What belongs here: what is printed of changes. What does not: which make sense
(`market/announced.py`), what follows from one (`resources/bars/calendar_changes.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from swiftbolt_assets.cli.arguments import parse_change, parse_day
from swiftbolt_assets.cli.installation import readable, ready
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from datetime import date

    from resources.bars.calendar_changes import Announced
    from swiftbolt_assets.market.announced import Change


def run_calendar_list(*, as_json: bool) -> None:
    """Print the changes in force."""
    from resources.bars.calendar_changes import CalendarBook
    from swiftbolt_assets.cli.tables import table, terminal_width

    with readable() as installation:
        found = CalendarBook(installation.database).announced()
    first, last = xnys().first, xnys().last
    rows = [_row(one) for one in found]
    if as_json:
        click.echo(json.dumps({"from": first.isoformat(), "to": last.isoformat(), "changes": rows}))
        return
    click.echo(f"The calendar on board reaches from {first} to {last}.")
    if not rows:
        click.echo("Nothing was changed since; swiftbolt calendar add DAY changes a day.")
        return
    columns = ("day", "closes", "instead_of", "bars_aside", "added", "reason")
    shown = [
        (
            row["day"],
            row["closes"] or "all day",
            row["instead_of"] or "closed",
            row["bars_aside"],
            one.changed_at,
            row["reason"],
        )
        for one, row in zip(found, rows, strict=True)
    ]
    for line in table(columns, shown, terminal_width()):
        click.echo(line)


def run_calendar_add(day: str, closes: str | None, reason: str, *, is_closed: bool) -> None:
    """Add a change and say what it makes of the day.

    Raises:
        UsageError: an argument is wrong; nothing was touched.

    """
    change = parse_change(day, closes, reason, is_closed=is_closed)

    from resources.bars.calendar_changes import CalendarBook

    with ready() as installation:
        book = CalendarBook(installation.database)
        is_new = book.add(change)
        aside = next(one.bars_aside for one in book.announced() if one.change.day == change.day)
    if not is_new:
        click.echo(f"{_told(change)}: it is known already")
        return
    click.echo(f"{_told(change)} instead of closing at {_on_board(change.day)}; {_KNOWN}")
    if aside:
        click.echo(f"{aside:,} 15-minute bars outside the session are kept aside")


def run_calendar_remove(day: str) -> None:
    """Take a change back and say what the day is again.

    Raises:
        UsageError: there is none of the day.

    """
    which = parse_day(day)

    from resources.bars.calendar_changes import CalendarBook

    with ready() as installation:
        CalendarBook(installation.database).remove(which)
    closes = _on_board(which)
    again = "is closed all the same, on board" if closes is None else f"closes at {closes} again"
    click.echo(f"{which} {again}; {_KNOWN}")


_KNOWN = "every process knows it within a minute"


def _row(one: Announced) -> dict[str, Any]:
    """Return what `--json` prints of a change."""
    closes = one.change.closes
    return {
        "day": one.change.day.isoformat(),
        "closes": closes and f"{closes:%H:%M}",
        "instead_of": _on_board(one.change.day),
        "reason": one.change.reason,
        "added_at": one.changed_at.isoformat(),
        "bars_aside": one.bars_aside,
    }


def _on_board(day: date) -> str | None:
    """Return when the calendar on board closes a day, New York time; None for a closure."""
    session = xnys().session(day)
    return None if session is None else f"{session.closes.astimezone(NEW_YORK):%H:%M}"


def _told(change: Change) -> str:
    if change.closes is None:
        return f"{change.day} is closed"
    return f"{change.day} closes at {change.closes:%H:%M}"
