"""A Celery worker that serves the queue of its own code.

It beats in Postgres, with its slots, from the moment that it takes runs. SIGTERM drains it: the
runs that it has go on to their end. When the platform's code has changed it drains itself. What its
runs log goes to a file, as that of the platform's parts does.

What belongs here: the life of a worker. What does not: a run on it (`run_beats.py`).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from celery import signals

from resources.platform.workers import BEAT_EVERY_S, WorkerBook
from resources.storage import open_database
from swiftbolt_assets.dagster_private.fork_server import warm_up
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.orchestration.celery.app import TASK, celery_app, code_queue
from swiftbolt_assets.orchestration.celery.code_queue import own_queue
from swiftbolt_assets.orchestration.instance import dagster_environment, write_configuration
from swiftbolt_assets.orchestration.platform.logs import rotate_file
from swiftbolt_assets.orchestration.platform.presence import lives

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from swiftbolt_assets.settings import Settings

_log = logging.getLogger(__name__)


@dataclass
class _Life:
    """One worker, from its registration to its end."""

    book: WorkerBook
    worker_id: UUID
    name: str
    queue: str
    slots: int
    say: Callable[[str], None]
    log: Path
    survives_hangup: bool
    over: threading.Event = field(default_factory=threading.Event)
    _met: bool = False
    _told: str | None = None

    def begin(self, **_: object) -> None:
        """Register, and beat from now on."""
        # Celery's own answer to a hangup is to start the worker anew, under nohup, too.
        signal.signal(
            signal.SIGHUP,
            signal.SIG_IGN if self.survives_hangup else signal.getsignal(signal.SIGTERM),
        )
        host = socket.gethostname()
        gone = [one for one, pid in self.book.of_host(host).items() if not lives(pid)]
        self.book.forget(gone)
        self.book.register(
            self.worker_id,
            name=self.name,
            host=host,
            pid=os.getpid(),
            queue=self.queue,
            slots=self.slots,
        )
        threading.Thread(target=self._beat, name="beats", daemon=True).start()
        self.say(
            f"worker {self.name} takes runs, {self.slots} at once, on queue {self.queue}; "
            f"their log is {self.log}"
        )

    def begin_child(self, **_: object) -> None:
        """Send a child's output to the log, and leave the terminal's group.

        Ctrl-C is for the worker, which lets its runs end.
        """
        os.setpgid(0, 0)
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.close(handle)

    def drain(self, **_: object) -> None:
        """Take no more runs."""
        self.say(f"worker {self.name} takes no more runs and ends with its last one")
        # In a signal's handler: a database that is away must not keep it here.
        threading.Thread(target=self._drain, name="drain", daemon=True).start()

    def end(self) -> None:
        """Stop beating and leave."""
        self.over.set()
        try:
            self.book.forget([self.worker_id])
        except SwiftBoltError as error:
            _log.warning("worker %s cannot say that it leaves: %s", self.name, error)

    def _beat(self) -> None:
        while True:
            try:
                self._compare(self.book.beat(self.worker_id))
                rotate_file(self.log)
            except (SwiftBoltError, OSError) as error:
                _log.warning("worker %s cannot beat: %s", self.name, error)
            if self.over.wait(BEAT_EVERY_S):
                return

    def _drain(self) -> None:
        try:
            self.book.drain(self.worker_id)
        except SwiftBoltError as error:
            _log.warning("worker %s cannot say that it drains: %s", self.name, error)

    def _compare(self, platform: str | None) -> None:
        """End when the platform's code was this worker's and is not any more."""
        if platform == self.queue:
            self._met, self._told = True, None
        elif self._met:
            self._met = False
            self.say(
                f"worker {self.name}: the platform's code or settings have changed (queue "
                f"{platform}); it ends, start one of the new code"
            )
            os.kill(os.getpid(), signal.SIGTERM)
        elif platform is not None and platform != self._told:
            self._told = platform
            self.say(
                f"worker {self.name}: the platform runs other code or settings (queue {platform}); "
                "it gets no runs until they are the same"
            )


def serve(
    settings: Settings, *, slots: int, name: str, log: Path, say: Callable[[str], None]
) -> int:
    """Take runs until SIGTERM or SIGINT; return the exit code.

    Args:
        settings: of the installation.
        slots: runs at once.
        name: what the operator calls it.
        log: the file, already there, for what its runs log; `dagster.yaml` is written beside it.
        say: tells the operator a line.

    Raises:
        StorageError: the database does not answer.

    """
    home = log.parent
    # Celery looks for its plug-ins in the current folder first.
    os.chdir(home)
    write_configuration(home, settings)
    # For the runs, which Dagster opens by its environment.
    os.environ.update(dagster_environment(settings) | {"DAGSTER_HOME": str(home)})
    os.environ.pop("SWIFTBOLT_NOW", None)
    book, worker_id = WorkerBook(open_database(settings)), uuid4()
    queue = own_queue(settings, book)
    survives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    life = _Life(book, worker_id, name, queue, slots, say, log, survives)
    app = celery_app(settings.broker_url)
    app.conf.task_queues = [code_queue(queue)]

    @app.task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]
    def _run(run_id: str) -> None:
        # In a child: what it imports starts threads.
        from swiftbolt_assets.orchestration.celery.run_beats import execute_run

        execute_run(run_id, worker_id)

    warm_up()
    signals.worker_ready.connect(life.begin, weak=False)
    signals.worker_shutting_down.connect(life.drain, weak=False)
    signals.worker_process_init.connect(life.begin_child, weak=False)
    with warnings.catch_warnings():
        # Nothing that comes through the broker is unpickled.
        warnings.filterwarnings("ignore", "You're running the worker with superuser privileges")
        worker = app.Worker(
            hostname=f"{name}-{worker_id.hex[:8]}@{socket.gethostname()}",
            concurrency=slots,
            pool_cls="prefork",
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        try:
            worker.start()
        finally:
            life.end()
    return worker.exitcode or 0
