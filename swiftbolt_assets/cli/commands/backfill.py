"""`swiftbolt backfill`: fill a window and wait."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from swiftbolt_assets.cli.arguments import parse_priority, parse_symbols, parse_window
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.cli.outcome import Asked, print_summary
from swiftbolt_assets.policy.admission import URGENT
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    tickers = parse_symbols(symbols)
    settings = read_settings()
    today = settings.clock.today()
    window = parse_window(days, start, end, today=today, first_date=settings.first_date)
    rank = parse_priority(priority, URGENT)

    with ready(settings) as installation:
        from resources.bars.calendar import load_calendar
        from swiftbolt_assets.cli.filling import fill
        from swiftbolt_assets.orchestration.platform.presence import find_platform

        window = window.by(load_calendar(installation.database))
        asked = Asked(tickers, window, rank, force)
        outcome = fill(installation, asked, on_platform=find_platform(settings) is not None)
    if as_json:
        click.echo(json.dumps(outcome.as_json()))
    else:
        print_summary(outcome)
    for error in outcome.errors:
        click.echo(f"swiftbolt: {error}", err=True)
    sys.exit(0 if outcome.complete else 1)
