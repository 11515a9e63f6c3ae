"""Dagster's daemon, looking at sensors and backfills again sooner than the stock one.

Stock, it looks at sensors every five seconds; a sensor that waits on announcements fills that time,
but one that has just launched would leave the next new symbol unseen for the rest of it. At
backfills it looks every thirty: on average a symbol's older years waited a quarter of a minute to
begin, and as long to be told complete. With ten, three symbols at once were over in 20 s instead of
60, at the same CPU (3.2 s a symbol and two years, `make bench ARGS="--only orchestration"`), as was
one at five requests a minute, whose backfill stays open long.

The run queue it looks at every second, as often as its setting allows: half a second of the way to
the first bars, on average, was waiting for that. Twice as often costs 1 % of a core.

It reaches into three constants of Dagster, so it lives alone here, and a test fails when Dagster
changes.
"""

from __future__ import annotations

import dagster._daemon.controller
import dagster._daemon.sensor
from dagster import QueuedRunCoordinator
from dagster._daemon.cli import main as run_daemon

from swiftbolt_assets.garbage import keep_what_lives

LOOP_S = 1
BACKFILL_LOOP_S = 10
#: The daemon's own step of waiting; the setting takes whole seconds only.
DEQUEUE_S = 0.5


def main() -> None:
    """Run the daemon's command line."""
    keep_what_lives()
    dagster._daemon.sensor.MIN_INTERVAL_LOOP_TIME = LOOP_S  # noqa: SLF001
    # The backfills' loop reads it anew each time.
    dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS = BACKFILL_LOOP_S  # noqa: SLF001
    QueuedRunCoordinator.dequeue_interval_seconds = property(lambda _: DEQUEUE_S)  # type: ignore[assignment,method-assign]
    run_daemon()


if __name__ == "__main__":
    main()
