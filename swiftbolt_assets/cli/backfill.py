"""`swiftbolt backfill`: fill a window and wait."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from swiftbolt_assets.cli.arguments import parse_priority, parse_symbols, parse_window
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swiftbolt_assets.cli.filling import Outcome

DEFAULT_PRIORITY = 200


def run_backfill(
    symbols: Sequence[str],
    *,
    days: str | None,
    start: str | None,
    end: str | None,
    priority: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Fill and report; exits with 1 when a session before today is not settled.

    Raises:
        UsageError: an argument is wrong; nothing was touched.

    """
    wanted = parse_symbols(symbols)
    settings = read_settings()
    today = settings.clock.today()
    window = parse_window(days, start, end, today=today, first_date=settings.first_date)
    rank = parse_priority(priority, DEFAULT_PRIORITY)

    with ready(settings) as installation:
        from resources.calendar import load_calendar
        from swiftbolt_assets.cli.filling import Wish, fill
        from swiftbolt_assets.orchestration.presence import find_platform

        window = window.by(load_calendar(installation.database))
        wish = Wish(wanted, window, rank, force)
        outcome = fill(installation, wish, on_platform=find_platform(settings) is not None)
    if as_json:
        click.echo(json.dumps(outcome.as_json()))
    else:
        print_summary(outcome)
    for error in outcome.errors:
        click.echo(f"swiftbolt: {error}", err=True)
    sys.exit(0 if outcome.complete else 1)


def print_summary(outcome: Outcome) -> None:
    """Print what a fill came to, for people."""
    result = outcome.as_json()
    bars = ", ".join(f"{count:,} {name}" for name, count in result["bars"].items())
    source = " (simulated)" if result["simulated"] else ""
    names = ", ".join(result["symbols"])
    click.echo(f"{names} {result['from']}..{result['to']}: {result['state']}{source}")
    click.echo(f"  sessions  {result['sessions']:,} of {result['sessions_wanted']:,} before today")
    click.echo(f"  bars      {bars}")
    click.echo(
        f"  requests  {result['requests']} (theoretical minimum {result['theoretical_minimum']}), "
        f"{result['rejected_bars']} bars rejected"
    )
    first = result["seconds_to_first_bar"]
    click.echo(
        f"  seconds   {result['seconds']:.1f}"
        + (f", first bar after {first:.1f}" if first is not None else "")
    )
    if result["state"] == "complete" and not any(result["bars"].values()):
        click.echo("  no provider has a bar of it in these days; is the symbol right?")
