"""Refuses an answer without any bar where some are stored: it looks like an honest one.

What belongs here: this one wrapper. What does not: single bars that contradict stored ones
(`market/overlap.py`), and what follows from a refusal (`resources/providers/health.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swiftbolt_assets.errors import MalformedReplyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from uuid import UUID

    from resources.bars.ledger import Ledger
    from resources.providers.contract import Answer, BarProvider


class ConsistentProvider:
    """A provider whose empty answers are held against what it delivered before.

    Args:
        inner: the provider.
        ledger: knows what it delivered.
        symbol_id: returns the id of a canonical ticker.

    """

    def __init__(
        self, inner: BarProvider, ledger: Ledger, symbol_id: Callable[[str], UUID]
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._ledger = ledger
        self._symbol_id = symbol_id

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the provider's answer.

        Raises:
            MalformedReplyError: it has no bar of days of which some are stored.
            ProviderError: what the provider raised.
            StorageError: the database cannot be reached.

        """
        answer = self._inner.fetch(symbol, first, last, priority=priority)
        if answer.bars.is_empty() and answer.broken_off is None:
            known = self._ledger.coverage(self._symbol_id(symbol), answer.first, last)
            if any(row.bars for row in known.values()):
                raise MalformedReplyError(
                    f"{self.name}: it answers without a bar of {symbol} from {first} to {last}, "
                    "though it delivered some before; try again later"
                )
        return answer
