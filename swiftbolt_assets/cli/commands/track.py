"""`swiftbolt track`: record interest in symbols, as the API does."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import click

from swiftbolt_assets.cli.arguments import parse_source, parse_symbols, parse_user
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.queue.definitions import Definition


def run_track(
    symbols: Sequence[str], *, source: str | None, user: str | None, as_json: bool
) -> None:
    """Record and print what is wanted now.

    Raises:
        UsageError: an argument is wrong; nothing was touched.

    """
    tickers, kind = parse_symbols(symbols), parse_source(source)
    who = parse_user(user) if user is not None else None
    settings = read_settings()
    who = who or settings.anon_user

    from resources.queue.tracking import track
    from swiftbolt_assets.orchestration.platform.presence import find_platform

    with ready(settings) as installation:
        rows = track(installation.database, who, tickers, kind)
    wanted = {symbol: list(group) for symbol, group in groupby(rows, lambda row: row.symbol)}
    if as_json:
        click.echo(
            json.dumps(
                {
                    "user": str(who),
                    "source": kind,
                    "symbols": [
                        {
                            "symbol": symbol,
                            "wanted": [_without_symbol(row) for row in wanted[symbol]],
                        }
                        for symbol in tickers
                    ],
                }
            )
        )
        return
    for symbol in tickers:
        click.echo(f"{symbol:<9} {', '.join(_shown(row) for row in wanted[symbol])}")
    if find_platform(settings) is None:
        click.echo("The platform is stopped; swiftbolt up fills what is wanted.")


def _without_symbol(row: Definition) -> dict[str, object]:
    return {name: value for name, value in asdict(row).items() if name != "symbol"}


def _shown(row: Definition) -> str:
    days = "1 day" if row.window_days == 1 else f"{row.window_days} days"
    told = f"{days} at priority {row.priority}" if row.enabled else "off"
    return f"{row.timeframe} {told}{' (pinned)' if row.pinned else ''}"
