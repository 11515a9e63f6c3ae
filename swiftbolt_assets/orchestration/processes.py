"""The platform's processes: started in order, restarted when they die, stopped together.

Each process leads a group of its own; a guard (`guard.py`) ends the groups when this process dies,
so that nothing is left behind. What belongs here: processes. What does not: which ones make up the
platform (`platform.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.orchestration import guard
from swiftbolt_assets.orchestration.logs import rotate
from swiftbolt_assets.startup import own_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: From the signal to stop until the last process is gone at most.
STOP_S = 20.0
#: A process that dies at once again and again is started after 1, 2, 4 ... s, at most this long.
LONGEST_PAUSE_S = 30.0
_START_S = 90.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Service:
    """One process of the platform.

    Attributes:
        name: for messages and the log file.
        command: the argument list.
        answers: whether it does its work now.
        look: looks around before one is started in place of one that died; what it returns is
            called when the new one answers.

    """

    name: str
    command: Sequence[str]
    answers: Callable[[], bool]
    look: Callable[[], Callable[[], object]] = lambda: _nothing


@dataclass
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    started: float
    pause: float = field(default=1.0)
    tidy: Callable[[], object] | None = None


class Supervisor:
    """Runs services until it is stopped; its caller handles SIGINT and SIGTERM.

    (Signals that a process ignores, its children ignore, too: so does whatever a script starts in
    its background with SIGINT, and Dagster copies that to SIGTERM.)

    Args:
        logs: folder of the services' logs, which they run in: Dagster imports from the current
            folder and takes settings from a `.env` there, whoever's it is.
        environment: of the services.
        on_change: told each service's process id, by name, once all run and after each change.

    """

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str],
        on_change: Callable[[dict[str, int]], None] = lambda _: None,
    ) -> None:
        self._logs = logs
        self._environment = own_environment(dict(environment))
        self._on_change = on_change
        self._children: list[_Child] = []
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self, *services: Service) -> None:
        """Start services side by side and wait until all answer.

        Raises:
            SwiftBoltError: one ended, or did not answer in time; names its log.

        """
        begun = [_Child(one, self._spawn(one), time.monotonic()) for one in services]
        self._children += begun
        for child in begun:
            self._await(child)

    def announce(self) -> None:
        """Tell that all services run."""
        self._on_change({child.service.name: child.process.pid for child in self._children})

    def mend(self) -> list[str]:
        """Start again what has died, after a growing pause; return the names of those.

        Raises:
            SwiftBoltError: it cannot be done now; call again.

        """
        try:
            rotate(self._logs)
        except OSError as error:
            raise SwiftBoltError(f"{self._logs}: {error.strerror}; make room") from error
        mended = []
        for child in self._children:
            now = time.monotonic()
            if child.process.poll() is None:
                if child.tidy is not None and child.service.answers():
                    child.tidy()
                    child.tidy = None
                continue
            if now - child.started < child.pause:
                continue
            self._kill(child)
            tidy = child.service.look()
            try:
                child.process = self._spawn(child.service)
            except OSError as error:
                raise SwiftBoltError(
                    f"{child.service.name}: it cannot be started ({error.strerror})"
                ) from error
            child.tidy = tidy
            lived, child.started = now - child.started, now
            child.pause = 1.0 if lived > LONGEST_PAUSE_S else min(child.pause * 2, LONGEST_PAUSE_S)
            mended.append(child.service.name)
            self.announce()
        if self._guard is not None and self._guard.poll() is not None:
            self._start_guard()
        return mended

    def stop(self) -> None:
        """End all services, the last started first; what does not listen is killed."""
        for child in reversed(self._children):
            _signal_group(child.process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for child in reversed(self._children):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
            # Runs are children of the code server and may outlive it; their work is resumable.
            self._kill(child)
        self._children.clear()
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None

    def _await(self, child: _Child) -> None:
        service = child.service
        deadline = child.started + _START_S
        while not service.answers():
            if child.process.poll() is not None:
                raise SwiftBoltError(
                    f"{service.name}: it ended while starting; {self._hint(service)}"
                )
            if time.monotonic() > deadline:
                raise SwiftBoltError(f"{service.name}: it does not answer; {self._hint(service)}")
            time.sleep(_POLL_S)

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        self._logs.mkdir(parents=True, exist_ok=True)
        if self._guard is None:
            self._start_guard()
        path = self._logs / f"{service.name}.log"
        with path.open("ab") as log:
            process = subprocess.Popen(
                list(service.command),
                cwd=self._logs,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._tell_guard(process.pid)
        return process

    def _kill(self, child: _Child) -> None:
        _signal_group(child.process, signal.SIGKILL)
        child.process.wait()
        self._tell_guard(-child.process.pid)

    def _start_guard(self) -> None:
        self._guard = subprocess.Popen(
            [sys.executable, "-m", guard.__name__],
            cwd=self._logs,
            stdin=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        for child in self._children:
            self._tell_guard(child.process.pid)

    def _tell_guard(self, group: int) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        # A guard that was killed is replaced by `mend`, and told everything anew.
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(f"{group}\n".encode())
            self._guard.stdin.flush()

    def _hint(self, service: Service) -> str:
        return f"see {self._logs / service.name}.log"


def _nothing() -> None:
    """Tidy up after a service that leaves nothing lying about."""


def _signal_group(process: subprocess.Popen[bytes], what: signal.Signals) -> None:
    try:
        os.killpg(process.pid, what)
    except (ProcessLookupError, PermissionError):
        # The group is gone, or (macOS) holds only zombies.
        return
