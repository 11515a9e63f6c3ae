"""`swiftbolt status`: what is stored, the request budget, and what failed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.market.symbols import parse_symbol

if TYPE_CHECKING:
    from resources.postgres import Database
    from swiftbolt_assets.settings import Settings


def run_status(symbol: str | None, *, as_json: bool) -> None:
    """Print the installation's state, or one symbol's.

    Raises:
        UsageError: the symbol is none.

    """
    ticker = parse_symbol(symbol) if symbol is not None else None
    with ready() as installation:
        report = _report(installation.settings, installation.database, ticker)
    if as_json:
        click.echo(json.dumps(report, default=str))
    else:
        _print(report)


def _report(settings: Settings, database: Database, ticker: str | None) -> dict[str, Any]:
    from resources.overview import request_overviews, symbol_overviews
    from swiftbolt_assets.orchestration.presence import answers, find_platform

    platform = find_platform(settings)
    running = platform is not None and answers(platform)
    return {
        "platform": "running" if running else "stopped",
        "dagster_url": platform.dagster_url if platform else None,
        "data_source": "simulated" if settings.simulated else "real",
        "now": settings.clock.now().isoformat(timespec="seconds"),
        "today": settings.clock.today().isoformat(),
        "budgets": [_budget(settings, database, name) for name in ("polygon", "tradier")],
        "requests": [asdict(row) for row in request_overviews(database)],
        "symbols": [asdict(row) for row in symbol_overviews(database, ticker)],
    }


def _budget(settings: Settings, database: Database, name: str) -> dict[str, Any]:
    from resources.provider_health import ProviderHealth
    from resources.rate_limit import limiter

    wanted = settings.polygon_per_minute if name == "polygon" else settings.tradier_per_minute
    state = limiter(database.connect, name, wanted).state() if wanted else None
    cooling = ProviderHealth(database.connect).cooling(name)
    return {
        "provider": name,
        "per_minute": wanted,
        "free": state.free if state else None,
        "next_free_s": round(state.next_free_s, 1) if state else None,
        "waiting": state.waiting if state else 0,
        "cooling_down": str(cooling.error()) if cooling else None,
    }


def _print(report: dict[str, Any]) -> None:
    where = f" at {report['dagster_url']}" if report["dagster_url"] else ""
    click.echo(f"platform  {report['platform']}{where}, {report['data_source']} bars")
    click.echo(f"market    {report['now']}, today is {report['today']} in New York")
    for budget in report["budgets"]:
        click.echo(f"{budget['provider']:<9} {_budget_line(budget)}")
        if budget["cooling_down"]:
            click.echo(f"          cooling down: {budget['cooling_down']}")
    for row in report["requests"]:
        failed = f", {row['failed']} failed ({row['last_failure']})" if row["failed"] else ""
        click.echo(
            f"          {row['provider']}: {row['last_minute']} requests in the last minute, "
            f"{row['last_hour']} in the last hour{failed}"
        )
    if not report["symbols"]:
        click.echo("symbols   none yet; run swiftbolt backfill AAPL")
    for row in report["symbols"]:
        click.echo(f"{row['symbol']:<9} {_symbol_line(row)}")


def _budget_line(budget: dict[str, Any]) -> str:
    if not budget["per_minute"]:
        return "no limit on requests"
    line = f"{budget['free']} of {budget['per_minute']} requests free this minute"
    if budget["next_free_s"]:
        line += f", the next in {budget['next_free_s']:.0f} s"
    return line + (f", {budget['waiting']} waiting" if budget["waiting"] else "")


def _symbol_line(row: dict[str, Any]) -> str:
    if row["first"] is None:
        return "nothing stored"
    line = (
        f"{row['final']:,} sessions final, {row['bars']:,} m15 bars, {row['first']}..{row['last']}"
    )
    line += f", {row['unsettled']} to ask again" if row["unsettled"] else ""
    return line + (f", {row['provisional']} provisional" if row["provisional"] else "")
