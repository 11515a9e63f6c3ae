"""Commands of swiftbolt as processes that are forked from one that has imported Dagster.

A cold command imports for a second or two, which was half of what tests of commands cost. A forked
one is a process like any other: it has its own environment, folder, pipes and signals, and ends as
an interpreter does. `tests/cli/test_warm_commands.py` holds it to be what a cold one is.

`python commands.py CONTROL` is the process that is forked; it has one thread and does what
its only client, a test process, orders on the socket CONTROL. What belongs here: both ends. What
does not: which commands tests run.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LARGEST = 1 << 20
_INPUT, _OUTPUT, _ERRORS, _STATUS = range(4)


class Commands:
    """Starts commands, in place of `subprocess.Popen`."""

    def __init__(self) -> None:
        """Start the process that they are forked from; it takes two seconds to be warm."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def start(
        self, arguments: Sequence[str], *, cwd: str, env: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """Start `swiftbolt` with arguments, no input, and its output piped."""
        return _Forked(self._control, arguments, cwd=cwd, env=env, stdin=subprocess.DEVNULL)

    def run(
        self, *arguments: str, env: Mapping[str, str], timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `swiftbolt` to its end."""
        with self.start(arguments, cwd=str(Path.cwd()), env=env) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def close(self) -> None:
        """End the process that is forked; commands that run go on."""
        self._control.close()
        self._server.wait()


class _Forked(subprocess.Popen[str]):
    """A command; all but its beginning and its end is `subprocess`'s."""

    def __init__(self, control: socket.socket, arguments: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - Popen's
        self._control = control
        piped = subprocess.PIPE
        super().__init__(
            ["swiftbolt", *arguments], stdout=piped, stderr=piped, text=True, **options
        )

    def _execute_child(self, args: Sequence[str], *rest: Any) -> None:  # noqa: ANN401 - Popen's
        _executable, _preexec, _close, _pass, cwd, env, *_ = rest
        pipes = rest[9:15]
        order = {"arguments": args[1:], "folder": str(cwd), "environment": dict(env)}
        self._status, theirs = os.pipe()
        try:
            ends = [pipes[0], pipes[3], pipes[5], theirs]
            socket.send_fds(self._control, [json.dumps(order).encode()], ends)
            self.pid = int(self._control.recv(64))
        finally:
            os.close(theirs)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        patience = 0 if flags & os.WNOHANG else None
        if not select.select([self._status], [], [], patience)[0]:
            return 0, 0
        told = os.read(self._status, 64)
        os.close(self._status)
        # Whoever kills a whole group has killed the one that reports, too.
        return self.pid, int(told or signal.SIGKILL)

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode


@dataclass(frozen=True)
class _Order:
    """What a command is to be."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


def main() -> None:
    """Be forked for each order, and be the command in the fork."""
    import swiftbolt_assets.cli.main  # noqa: F401 - it is there in each fork
    from swiftbolt_assets.dagster_private.fork_server import warm_up

    warm_up()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        order = _next_order(control)
    if order is not None:
        _become(order)


def _next_order(control: socket.socket) -> _Order | None:
    """Return what this process is to be; in the first one, None when nobody orders any more."""
    while True:
        message, ends, *_ = socket.recv_fds(control, _LARGEST, _STATUS + 1)
        if not message:
            return None
        told, tell = os.pipe()
        if os.fork() == 0:
            os.close(told)
            if (command := os.fork()) == 0:
                os.close(tell)
                for stream in (_INPUT, _OUTPUT, _ERRORS):
                    os.dup2(ends[stream], stream)
                for end in ends:
                    os.close(end)
                return _Order(**json.loads(message))
            os.write(tell, str(command).encode())
            os.close(tell)
            _report(command, ends)
        os.close(tell)
        for end in ends:
            os.close(end)
        control.send(os.read(told, 64))
        os.close(told)
        while _reaped():
            pass


def _reaped() -> bool:
    """Return whether a child that has reported was taken out of the table of processes."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _report(command: int, ends: list[int]) -> None:
    """Wait for a command's end and tell its status; a process of its own, which ends here."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.SIG_IGN)
    for end in ends[:_STATUS]:
        os.close(end)
    _, status = os.waitpid(command, 0)
    os.write(ends[_STATUS], str(status).encode())
    os._exit(0)


def _become(order: _Order) -> None:
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    sys.argv = ["swiftbolt", *order.arguments]
    runpy.run_module("swiftbolt_assets", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
