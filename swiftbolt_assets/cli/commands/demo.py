"""`swiftbolt demo`: everything at once, on made-up prices, to look at."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from resources.providers.registry import HISTORY, PROVIDERS
from swiftbolt_assets.api.keys import require_keys
from swiftbolt_assets.cli.arguments import parse_port_offset, parse_symbols, parse_window
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.cli.outcome import Asked, print_summary
from swiftbolt_assets.cli.stopping import Stop, stop_signals
from swiftbolt_assets.cli.watching import watched
from swiftbolt_assets.policy.admission import URGENT
from swiftbolt_assets.settings import CLOCK_OFFSET, KEYS, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

DEMO_DAYS = "730"
#: What belongs to the user's own installation and must not leak into the demo.
_NOT_OURS = (
    "SWIFTBOLT_DATABASE_URL",
    "SWIFTBOLT_DAGSTER_URL",
    *KEYS,
    *(provider.url_variable for provider in PROVIDERS),
    "SWIFTBOLT_PROFILE",
    "SWIFTBOLT_BROKER_URL",
)


def run_demo(
    symbols: Sequence[str], *, leave: bool, free: bool, host: str | None, port_offset: str
) -> None:
    """Start the platform with the simulator, track, watch two years fill, summarize, serve on.

    Raises:
        SwiftBoltError: a part does not start.

    """
    tickers = parse_symbols(symbols)
    offset = parse_port_offset(port_offset)
    settings = demo_settings(free=free)
    address = host or settings.host
    require_keys(settings, address)
    window = parse_window(
        DEMO_DAYS, None, None, today=settings.clock.today(), first_date=settings.first_date
    )

    from resources.postgres.embedded.server import release_keep
    from swiftbolt_assets.orchestration.platform.ports import require_free_ports
    from swiftbolt_assets.orchestration.platform.presence import platform_lock

    with stop_signals() as stop, platform_lock(settings):
        require_free_ports(settings, offset)
        release_keep(settings.home)
        click.echo(f"starting database, simulator and Dagster; state in {settings.home}")
        with ready(settings) as installation:
            from resources.bars.calendar import load_calendar
            from resources.queue.progress import mark
            from swiftbolt_assets.cli.filling import fill_by_tracking
            from swiftbolt_assets.orchestration.instance import prepare_dagster
            from swiftbolt_assets.orchestration.platform.services import running_platform

            window = window.by(load_calendar(installation.database))
            prepare_dagster(settings, installation.database)
            since = mark(installation.database)
            with running_platform(settings, offset, address) as (platform, supervisor):
                click.echo(f"chart: {platform.chart_url}")
                click.echo(f"Dagster UI: {platform.dagster_url}/assets")
                with watched(installation, supervisor):
                    asked = Asked(tickers, window, URGENT, force=False)
                    outcome = fill_by_tracking(installation, asked, since)
                    print_summary(outcome)
                    for error in outcome.errors:
                        click.echo(f"swiftbolt: {error}", err=True)
                    if not leave:
                        click.echo(f"chart: {platform.chart_url}#{tickers[0]}/h1")
                        click.echo(f"Dagster UI: {platform.dagster_url}/assets  (Ctrl-C stops)")
                        stop.wait_with(lambda: _wait(stop))
    sys.exit(0 if outcome.complete else 1)


def _wait(stop: Stop) -> None:
    while not stop.wait():
        continue  # a signal that is none of ours woke it


def demo_settings(*, free: bool) -> Settings:
    """Return the demo's settings: a home of its own, the simulator, one clock for all processes.

    They are put into the environment, for the processes that the demo starts.
    """
    for name in _NOT_OURS:
        os.environ.pop(name, None)
    os.environ["SWIFTBOLT_SIMULATOR_PLAN"] = "free" if free else "unlimited"
    os.environ[HISTORY.per_minute_variable] = str(HISTORY.per_minute if free else 0)
    os.environ.setdefault("SWIFTBOLT_BACKGROUND", "false")
    settings = read_settings()
    if settings.clock.offset:
        os.environ[CLOCK_OFFSET] = f"{settings.clock.offset.total_seconds():.6f}"
    settings = replace(settings, home=settings.home / "demo")
    os.environ["SWIFTBOLT_HOME"] = str(settings.home)
    return settings
