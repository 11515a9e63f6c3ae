"""`swiftbolt jobs set`: an operator changes what is wanted of a symbol, up or down."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from swiftbolt_assets.cli.arguments import parse_priority, parse_window_days
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.market.timeframes import parse_timeframe

if TYPE_CHECKING:
    from resources.queue.definitions import Definition


def run_jobs_set(
    symbol: str,
    timeframe: str | None,
    *,
    window: str | None,
    priority: str | None,
    enabled: bool | None,
    pinned: bool | None,
    as_json: bool,
) -> None:
    """Change and print all of the symbol's definitions.

    Raises:
        UsageError: an argument is wrong, or nothing is to change; nothing was touched.

    """
    ticker = parse_symbol(symbol)
    one = parse_timeframe(timeframe) if timeframe is not None else None
    days, rank = parse_window_days(window), parse_priority(priority, None)
    if (days, rank, enabled, pinned) == (None, None, None, None):
        raise UsageError(
            "jobs set: nothing is to change; give --window, --priority, --enabled, --disabled, "
            "--pin or --unpin"
        )

    from resources.queue.definitions import Change, change_definitions

    change = Change(days, rank, enabled, pinned)
    with ready() as installation:
        rows = change_definitions(installation.database, ticker, one, change)
    if as_json:
        click.echo(json.dumps({"symbol": ticker, "definitions": [asdict(row) for row in rows]}))
        return
    for row in rows:
        click.echo(_line(row))
    changed = [row for row in rows if one is None or row.timeframe == one]
    if not all(row.pinned for row in changed):
        click.echo("Later tracking may raise what is not pinned; --pin prevents it.")


def _line(row: Definition) -> str:
    state = "enabled" if row.enabled else "disabled"
    return (
        f"{row.symbol:<9} {row.timeframe:<3}  {row.window_days:>5} days  "
        f"priority {row.priority:<7}  {state}{', pinned' if row.pinned else ''}"
    )
