"""`swiftbolt demo`: everything at once, on made-up prices, to look at."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from swiftbolt_assets.api.keys import require_keys
from swiftbolt_assets.cli.arguments import parse_port_offset, parse_symbols, parse_window
from swiftbolt_assets.cli.backfill import DEFAULT_PRIORITY, print_summary
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.cli.platform import Stop, stop_signals, watch
from swiftbolt_assets.settings import CLOCK_OFFSET, POLYGON_KEYS, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from swiftbolt_assets.cli.installation import Installation
    from swiftbolt_assets.orchestration.processes import Supervisor

DEMO_DAYS = "730"
_FREE_REQUESTS = 5
#: What belongs to the user's own installation and must not leak into the demo.
_NOT_OURS = (
    "SWIFTBOLT_DATABASE_URL",
    "SWIFTBOLT_DAGSTER_URL",
    *POLYGON_KEYS,
    "POLYGON_BASE_URL",
    "TRADIER_TOKEN",
    "TRADIER_BASE_URL",
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
    wanted = parse_symbols(symbols)
    offset = parse_port_offset(port_offset)
    settings = demo_settings(free=free)
    address = host or settings.host
    require_keys(settings, address)
    window = parse_window(
        DEMO_DAYS, None, None, today=settings.clock.today(), first_date=settings.first_date
    )

    from resources.embedded import release_keep
    from swiftbolt_assets.orchestration.ports import require_free_ports
    from swiftbolt_assets.orchestration.presence import platform_lock

    with stop_signals() as stop, platform_lock(settings):
        require_free_ports(settings, offset)
        release_keep(settings.home)
        click.echo(f"starting database, simulator and Dagster; state in {settings.home}")
        with ready(settings) as installation:
            from resources.calendar import load_calendar
            from resources.progress import mark
            from swiftbolt_assets.cli.filling import Wish, fill_by_tracking
            from swiftbolt_assets.orchestration.instance import prepare_dagster
            from swiftbolt_assets.orchestration.platform import running_platform

            window = window.by(load_calendar(installation.database))
            prepare_dagster(settings, installation.database)
            since = mark(installation.database)
            with running_platform(settings, offset, address) as (platform, supervisor):
                click.echo(f"chart: {platform.chart_url}")
                click.echo(f"Dagster UI: {platform.dagster_url}/assets")
                with _mended(installation, supervisor):
                    wish = Wish(wanted, window, DEFAULT_PRIORITY, force=False)
                    outcome = fill_by_tracking(installation, wish, since)
                    print_summary(outcome)
                    for error in outcome.errors:
                        click.echo(f"swiftbolt: {error}", err=True)
                    if not leave:
                        click.echo(f"chart: {platform.chart_url}#{wanted[0]}/h1")
                        click.echo(f"Dagster UI: {platform.dagster_url}/assets  (Ctrl-C stops)")
                        stop.wait_with(lambda: _wait(stop))
    sys.exit(0 if outcome.complete else 1)


@contextmanager
def _mended(installation: Installation, supervisor: Supervisor) -> Iterator[None]:
    """Mend what dies, from a thread, while the block runs."""
    over = threading.Event()
    mender = threading.Thread(target=watch, args=(installation, supervisor, over), daemon=True)
    mender.start()
    try:
        yield
    finally:
        over.set()
        mender.join()


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
    os.environ["POLYGON_REQUESTS_PER_MINUTE"] = str(_FREE_REQUESTS if free else 0)
    os.environ.setdefault("SWIFTBOLT_BACKGROUND", "false")
    settings = read_settings()
    if settings.clock.offset:
        os.environ[CLOCK_OFFSET] = f"{settings.clock.offset.total_seconds():.6f}"
    settings = replace(settings, home=settings.home / "demo")
    os.environ["SWIFTBOLT_HOME"] = str(settings.home)
    return settings
