"""Ends the platform's processes when their supervisor is gone, however it went.

It reads process groups from its standard input, one a line, `12` for a new one and `-12` for one
that has ended. Only the supervisor holds the other end; when that closes, the groups are told to
stop and, a moment later, what is left of them is killed. The
kernel's own help (PR_SET_PDEATHSIG) reaches children, not the runs below them, and Linux only.

What belongs here: this one program; it imports nothing of the platform. What does not: who starts
it (`processes.py`).
"""

from __future__ import annotations

import os
import signal
import sys
import time

PATIENCE_S = 3.0
_POLL_S = 0.1


def main() -> None:
    """Wait for the supervisor's end, then end the groups."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line)
        groups.add(group) if group > 0 else groups.discard(-group)
    deadline = time.monotonic() + PATIENCE_S
    alive = {group for group in groups if _tell(group, signal.SIGTERM)}
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        alive = {group for group in alive if _tell(group, 0)}
    for group in alive:
        _tell(group, signal.SIGKILL)


def _tell(group: int, kind: int) -> bool:
    """Send a signal to a group; return whether it has a process."""
    try:
        os.killpg(group, kind)
    except (ProcessLookupError, PermissionError):
        # It is gone, or its number is somebody else's by now.
        return False
    return True


if __name__ == "__main__":
    main()
