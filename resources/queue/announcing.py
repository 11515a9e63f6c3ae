"""Says in the queue which slices a provider is being asked for.

What belongs here: this one wrapper. What does not: the queue (`slices.py`), and what a provider
does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from resources.providers.contract import Answer, BarProvider
    from resources.queue.slices import WorkQueue


class AnnouncedProvider:
    """A provider whose every question is noted in the queue first.

    Args:
        inner: the provider.
        work: where slices are.

    """

    def __init__(self, inner: BarProvider, work: WorkQueue) -> None:
        self.name = inner.name
        self._inner = inner
        self._work = work

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Mark the slices of these days as running, and ask.

        Raises:
            ProviderError: what the provider raised.
            StorageError: the database cannot be reached; nothing was asked.

        """
        self._work.begin(symbol, first, last)
        return self._inner.fetch(symbol, first, last, priority=priority)
