"""How a command that runs until it is told to stop hears that.

Shared by `up` and `demo`. What belongs here: the signals and the wait for them. What does not: what
is done meanwhile (`watching.py`) and afterwards (the commands).
"""

from __future__ import annotations

import select
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


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
