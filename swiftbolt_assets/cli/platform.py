"""`swiftbolt up`: the platform in the foreground."""

from __future__ import annotations

import select
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from swiftbolt_assets.api.keys import require_keys
from swiftbolt_assets.cli.arguments import parse_port_offset
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.cli.workers import WorkerNews
from swiftbolt_assets.errors import ConfigurationError, SwiftBoltError
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from swiftbolt_assets.cli.installation import Installation
    from swiftbolt_assets.orchestration.processes import Supervisor

_WATCH_S = 1.0


def run_up(*, host: str | None, port_offset: str) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        SwiftBoltError: a platform runs on this home already, or a part does not start.
        KeyboardInterrupt: it was stopped while starting.

    """
    offset = parse_port_offset(port_offset)
    settings = read_settings()
    address = host or settings.host
    require_keys(settings, address)

    from swiftbolt_assets.orchestration.engines import require_engine

    require_engine(settings)
    if settings.profile == "k8s":
        raise ConfigurationError(
            "SWIFTBOLT_PROFILE: under k8s the platform runs in a cluster; swiftbolt env --profile "
            "k8s prints its files, and here up serves local and celery"
        )

    from resources.embedded import release_keep
    from swiftbolt_assets.orchestration.ports import require_free_ports
    from swiftbolt_assets.orchestration.presence import platform_lock

    with stop_signals() as stop, platform_lock(settings):
        require_free_ports(settings, offset)
        if settings.embedded:
            release_keep(settings.home)
        with ready(settings) as installation:
            from swiftbolt_assets.orchestration.instance import prepare_dagster
            from swiftbolt_assets.orchestration.platform import running_platform

            prepare_dagster(settings, installation.database)
            if settings.profile == "celery":
                from swiftbolt_assets.orchestration.worker_slots import announce_code

                announce_code(settings, installation.database)
            with running_platform(settings, offset, address) as (platform, supervisor):
                source = "simulated bars" if settings.simulated else "real providers"
                click.echo(f"SwiftBolt runs ({source})")
                click.echo(f"  chart   {platform.chart_url}")
                click.echo(f"  API     {platform.api_url}/docs")
                click.echo(f"  Dagster {platform.dagster_url}")
                click.echo("Ctrl-C stops it.")
                stop.wait_with(lambda: watch(installation, supervisor, stop))
        click.echo("stopped")


class Stop:
    """What SIGINT, SIGTERM and SIGHUP do: interrupt the work, or end the wait for them.

    The first of these signals counts; more do nothing, so that nothing stops the stopping. A wait
    sleeps on a socket that the interpreter's own handler writes to: a lock would miss a signal that
    arrives just before it sleeps, and an `Event` set by a handler can meet itself.
    """

    def __init__(self) -> None:
        self._requested = False
        self._waiting = False
        self._bell, self.ringer = socket.socketpair()
        for end in (self._bell, self.ringer):
            end.settimeout(0)

    def wait_with(self, body: Callable[[], None]) -> None:
        """Run what ends by itself when a signal has come."""
        self._waiting = True
        body()

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until a signal has come, or for so many seconds; return whether one has."""
        if not self._requested and select.select([self._bell], [], [], timeout)[0]:
            self._bell.recv(64)
        return self._requested

    def note(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            KeyboardInterrupt: work is to be interrupted.

        """
        if not self._requested:
            self._requested = True
            if not self._waiting:
                raise KeyboardInterrupt

    def close(self) -> None:
        """Close the sockets."""
        self._bell.close()
        self.ringer.close()


class Waiter(Protocol):
    """What can be waited for, such as a `Stop` or a `threading.Event`."""

    def wait(self, timeout: float) -> bool:
        """Sleep for so many seconds at most; return whether the waiting is over."""


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Yield what the signals to stop set, from here on; those that nohup ignores stay ignored."""
    stop = Stop()
    before = {
        kind: signal.signal(kind, stop.note)
        for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # A script's background jobs ignore SIGINT, too, but are to be stopped by it.
        if not (kind == signal.SIGHUP and signal.getsignal(kind) is signal.SIG_IGN)
    }
    bell_before = signal.set_wakeup_fd(stop.ringer.fileno(), warn_on_full_buffer=False)
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(bell_before)
        for kind, handler in before.items():
            signal.signal(kind, handler)
        stop.close()


def watch(installation: Installation, supervisor: Supervisor, stop: Waiter) -> None:
    """Mend what dies, the database first, until told to stop."""
    told = ""
    workers = WorkerNews(installation.settings, installation.database)
    while not stop.wait(_WATCH_S):
        try:
            mended = ["database"] if installation.revive() else []
            mended += supervisor.mend()
            news = workers.look()
            told = ""
        except SwiftBoltError as error:
            # The same trouble is told once, and tried again.
            if str(error) != told:
                told = str(error)
                click.echo(f"swiftbolt: {told}", err=True)
            continue
        for name in mended:
            click.echo(f"{name} had died and was started again", err=True)
        if news:
            click.echo(news, err=True)
