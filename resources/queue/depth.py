"""How many requests wait in the whole queue, by priority: what every answer about time begins with.

Counting a queue of thousands of symbols takes a fifth of a second, and everybody who waits asks. So
a count serves all until it is old for what it cost: a short queue is counted each time, a long one
some seconds apart. What belongs here: that count. What does not: a symbol's own slices
(`outlook.py`).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resources.postgres.callers import Connection

#: Counting takes a twentieth of a connection's time at most.
_REST = 20.0


class QueueDepth:
    """Counts waiting requests; one for all threads of a process."""

    def __init__(self) -> None:
        self._counting = threading.Lock()
        self._found: Mapping[int, int] | None = None
        self._old_at = 0.0

    def ahead(self, connection: Connection, priority: int) -> int:
        """Return how many requests wait of a priority and higher ones."""
        found = self._found
        if found is None or time.monotonic() >= self._old_at:
            found = self._recount(connection, found)
        return sum(count for level, count in found.items() if level >= priority)

    def _recount(
        self, connection: Connection, standing: Mapping[int, int] | None
    ) -> Mapping[int, int]:
        # While one counts, the others go on with what there is.
        if not self._counting.acquire(blocking=standing is None):
            return standing or {}
        try:
            if self._found is not None and time.monotonic() < self._old_at:
                return self._found
            began = time.monotonic()
            found: dict[int, int] = dict(connection.execute(_WAITING).fetchall())
            ended = time.monotonic()
            self._found, self._old_at = found, ended + _REST * (ended - began)
        finally:
            self._counting.release()
        return found


# A slice's rows of three timeframes are one request.
_WAITING = """
select priority, count(*)::integer
  from (select distinct symbol, last_day, priority from job_runs where status = 'queued') waiting
 group by priority
"""
