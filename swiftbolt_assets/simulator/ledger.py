"""What was asked of the simulator, in the order of arrival.

What belongs here: the log of provider requests that tests count. What does not: keys; a query is
kept without them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from urllib.parse import urlencode

_KEPT = 100_000


@dataclass(slots=True)
class Entry:
    """One provider request.

    Attributes:
        time: arrival, real seconds since the epoch.
        provider: `polygon` or `tradier`.
        path: as asked.
        query: as asked, without the key.
        status: of the reply; None for a dropped connection or one still under way.
        fault: the kind of fault that it met, or None.

    """

    time: float
    provider: str
    path: str
    query: str
    status: int | None = None
    fault: str | None = None


class Ledger:
    """The last 100000 provider requests."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=_KEPT)

    def open(self, time: float, provider: str, path: str, params: dict[str, str]) -> Entry:
        """Return the entry of a request that has just arrived."""
        entry = Entry(time, provider, path, urlencode(params))
        self.entries.append(entry)
        return entry
