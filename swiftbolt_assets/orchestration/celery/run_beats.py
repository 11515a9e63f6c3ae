"""A run on a worker: begun once, beating until it is over, ended when it is told to.

The beats come from a thread of the run's own process, so they stop when that is killed or hangs as
a whole, whatever became of the rest of its worker. What belongs here: one run in this process. What
does not: the worker (`worker.py`), what follows from silence (`launcher.py`).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster import DagsterInstance

from resources.platform.workers import BEAT_EVERY_S, RunBook
from resources.storage import open_database
from swiftbolt_assets.dagster_private.celery_runs import execute
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

_log = logging.getLogger(__name__)


def execute_run(run_id: str, worker_id: UUID) -> None:
    """Execute a run, unless somebody has or had it: its message was delivered twice then.

    Raises:
        StorageError: the database does not answer; the run has not begun.

    """
    book = RunBook(open_database(read_settings()))
    if not book.begin(run_id, worker_id):
        _log.warning("run %s was begun before, or stopped; nothing is done", run_id)
        return
    try:
        with _beating(book, run_id), _own_signals(), DagsterInstance.get() as instance:
            execute(run_id, instance)
    finally:
        book.end(run_id)


@contextmanager
def _beating(book: RunBook, run_id: str) -> Iterator[None]:
    """Beat until the block ends, and interrupt it when the run is to end."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_EVERY_S):
            try:
                is_to_end = book.beat(run_id)
            except SwiftBoltError as error:
                # The run itself meets the same trouble; the next beat may reach the database.
                _log.warning("run %s cannot beat: %s", run_id, error)
                continue
            if is_to_end:
                # Again with each beat: it is not heard between two of Dagster's steps.
                os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=beat, name="beats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the signals' handlers, which Dagster does not put back as they were."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}
    # An interrupt that comes late must not end the worker's process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
