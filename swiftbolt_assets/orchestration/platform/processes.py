"""The platform's processes: started in order, restarted when they die, stopped together.

Those that need Dagster are forked from a process that has imported it. Each process leads a group
of its own; a guard (`guard.py`) ends the groups when this process dies, so that nothing is left
behind. What belongs here: processes. What does not: which ones make up the platform
(`services.py`).
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from swiftbolt_assets.dagster_private import fork_server
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.orchestration.platform import guard
from swiftbolt_assets.orchestration.platform.logs import rotate
from swiftbolt_assets.startup import own_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from multiprocessing.context import ForkServerContext, ForkServerProcess


#: From the signal to stop until the last process is gone at most.
STOP_S = 20.0
#: A process that dies at once again and again is started after 1, 2, 4 ... s, at most this long.
LONGEST_PAUSE_S = 30.0
_START_S = 90.0
_POLL_S = 0.1


def _nothing() -> None:
    """Do what a service needs that needs nothing."""


@dataclass(frozen=True)
class Service:
    """One process of the platform.

    Attributes:
        name: for messages and the log file.
        module: what Python runs.
        arguments: the module's.
        answers: whether it does its work now.
        needs_dagster: whether it comes from the warm process where there is one.
        first: what it does then before it is the module; a function of a module.
        look: looks around before one is started in place of one that died; what it returns is
            called when the new one answers.

    """

    name: str
    module: str
    arguments: Sequence[str]
    answers: Callable[[], bool]
    needs_dagster: bool = False
    first: Callable[[], object] = _nothing
    look: Callable[[], Callable[[], object]] = lambda: _nothing


class Process(Protocol):
    """A process that was started, cold or forked."""

    @property
    def pid(self) -> int:
        """Its id, and its group's."""

    def poll(self) -> int | None:
        """Return its exit code, None while it lives."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code when it has ended, for which `TimeoutExpired` is too late."""


class _Forked:
    """A process of multiprocessing, as `subprocess` would hold it."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code


@dataclass
class _Child:
    service: Service
    process: Process
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
        sockets: a folder that is nobody else's, for the warm process; None to start all cold.
        on_change: told each service's process id, by name, once all run and after each change.

    """

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str],
        sockets: Path | None = None,
        on_change: Callable[[dict[str, int]], None] = lambda _: None,
    ) -> None:
        self._logs = logs
        self._sockets = sockets if fork_server.CAN_FORK else None
        self._warm: tuple[subprocess.Popen[bytes], ForkServerContext] | None = None
        self._environment = own_environment(dict(environment))
        self._on_change = on_change
        self._children: list[_Child] = []
        self._guard: subprocess.Popen[bytes] | None = None

    def warm_up(self) -> None:
        """Begin to import what services are forked with, beside whatever is done next."""
        if self._sockets is None or (self._warm and self._warm[0].poll() is None):
            return
        self._logs.mkdir(parents=True, exist_ok=True)
        self._end_warm()
        address = self._sockets / "fork.sock"
        alive, ours = os.pipe()
        with fork_server.listening(address) as listener:
            passed = (listener.fileno(), alive)
            server = self._popen("fork-server", fork_server.__name__, map(str, passed), passed)
        os.close(alive)
        self._warm = server, fork_server.be_client(address, ours, server.pid)
        self._tell_guard(server.pid)

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
            self._kill(child.process)
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
            self._kill(child.process)
        self._children.clear()
        self._end_warm()
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

    def _spawn(self, service: Service) -> Process:
        process: Process
        self._logs.mkdir(parents=True, exist_ok=True)
        self.warm_up()
        if self._warm is None or not service.needs_dagster:
            process = self._popen(service.name, service.module, service.arguments)
        else:
            forked = self._warm[1].Process(
                target=_become,
                name=service.name,
                args=(
                    service.name,
                    str(self._log(service.name)),
                    service.module,
                    list(service.arguments),
                    service.first,
                ),
            )
            forked.start()
            process = _Forked(forked)
        self._tell_guard(process.pid)
        return process

    def _end_warm(self) -> None:
        """End the warm process, if there is one, dead or alive."""
        if self._warm is not None:
            self._kill(self._warm[0])
            self._warm = None

    def _popen(
        self, name: str, module: str, arguments: Iterable[str], passed: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        if self._guard is None:
            self._start_guard()
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=self._logs,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                pass_fds=passed,
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _kill(self, process: Process) -> None:
        _signal_group(process, signal.SIGKILL)
        process.wait()
        # The group's number may be somebody else's soon.
        self._tell_guard(-process.pid)

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
        if self._warm is not None:
            self._tell_guard(self._warm[0].pid)

    def _tell_guard(self, group: int) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        # A guard that was killed is replaced by `mend`, and told everything anew.
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(f"{group}\n".encode())
            self._guard.stdin.flush()

    def _hint(self, service: Service) -> str:
        return f"see {self._log(service.name)}"


def _become(
    name: str, log: str, module: str, arguments: list[str], first: Callable[[], object]
) -> None:
    """Be a service, in a process that was forked from the warm one."""
    os.setsid()
    # multiprocessing has gone to where the supervisor was started, which is anybody's folder.
    os.chdir(Path(log).parent)
    fork_server.call_process(name)
    opened = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for stream in (1, 2):
        os.dup2(opened, stream)
    os.close(opened)
    first()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _signal_group(process: Process, what: signal.Signals) -> None:
    try:
        os.killpg(process.pid, what)
    except (ProcessLookupError, PermissionError):
        # The group is gone, or (macOS) holds only zombies.
        return
