"""Dagster's daemon, looking at sensors again a second after one has launched something.

Stock, it looks every five seconds; a sensor that waits on announcements fills that time, but one
that has just launched would leave the next new symbol unseen for the rest of it. It reaches into
one constant of Dagster, so it lives alone here, and a test fails when Dagster changes.
"""

from __future__ import annotations

import dagster._daemon.sensor
from dagster._daemon.cli import main as run_daemon

LOOP_S = 1


def main() -> None:
    """Run the daemon's command line."""
    dagster._daemon.sensor.MIN_INTERVAL_LOOP_TIME = LOOP_S  # noqa: SLF001
    run_daemon()


if __name__ == "__main__":
    main()
