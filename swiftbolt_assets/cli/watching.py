"""Mends what dies of a platform while it runs, and tells.

Shared by `up` and `demo`. What belongs here: the look at every part once a second. What does not:
how a part is started again (`orchestration/platform/processes.py`), when to stop (`stopping.py`).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from swiftbolt_assets.cli.workers import WorkerNews
from swiftbolt_assets.errors import SwiftBoltError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swiftbolt_assets.cli.installation import Installation
    from swiftbolt_assets.orchestration.platform.processes import Supervisor

_WATCH_S = 1.0


class Waiter(Protocol):
    """What can be waited for, such as a `Stop` or a `threading.Event`."""

    def wait(self, timeout: float) -> bool:
        """Sleep for so many seconds at most; return whether the waiting is over."""


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


@contextmanager
def watched(installation: Installation, supervisor: Supervisor) -> Iterator[None]:
    """Mend what dies, from a thread, while the block runs."""
    over = threading.Event()
    mender = threading.Thread(target=watch, args=(installation, supervisor, over), daemon=True)
    mender.start()
    try:
        yield
    finally:
        over.set()
        mender.join()
