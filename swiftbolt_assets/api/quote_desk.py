"""Asks the provider of today what prices are now, sparingly.

What has been asked for a few seconds ago is not asked again, and its budget must have room: today's
bars come first. What belongs here: the desk. What does not: the reply (`routes/quotes.py`),
the provider's wire format (its folder).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from resources.providers.health import ProviderHealth
from resources.providers.http import Bounds, without_retries
from resources.providers.registry import TODAY
from resources.sources import Source
from swiftbolt_assets.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from resources.postgres.database import Database
    from resources.providers.contract import Quote
    from resources.providers.http import Transport
    from swiftbolt_assets.settings import Settings

_LOG = logging.getLogger(__name__)
_FRESH_S = 5.0
#: Who asks while it does not answer gets stored prices at once, instead of waiting in line.
_REST_S = 30.0
#: Requests of a minute that are left to today's bars.
_KEPT_FREE = 5
_KEPT_SYMBOLS = 2_000


class QuoteDesk:
    """Asks the provider, sparingly; thread-safe.

    Args:
        settings: keys, address and budget.
        database: holds the budget.

    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        # None where it knows none: it is not asked again at once, either.
        self._known: dict[str, tuple[float, Quote | None]] = {}
        self._rests_until = 0.0
        self._source = Source.of(TODAY, settings)
        self._transport = _transport(self._source, database)

    def quotes(self, tickers: Sequence[str]) -> dict[str, Quote]:
        """Return what the provider says of some symbols, from a few seconds ago at most.

        Those that it does not know, or that nobody could be asked about, are left out.

        Raises:
            StorageError: the budget cannot be reached.

        """
        with self._lock:
            now = time.monotonic()
            told = {name: q for name, (at, q) in self._known.items() if now - at < _FRESH_S}
            fresh = {name: quote for name, quote in told.items() if quote is not None}
            missing = [ticker for ticker in tickers if ticker not in told]
            if missing and self._transport is not None and self._has_room():
                try:
                    with without_retries():
                        found = self._source.quotes(self._transport).quotes(missing)
                except ProviderError as error:
                    _LOG.warning("quotes: %s; not asked for %.0f s", error, _REST_S)
                    self._rests_until = time.monotonic() + _REST_S
                    found = []
                fresh |= {quote.symbol: quote for quote in found}
                self._keep(missing, fresh)
        return {ticker: fresh[ticker] for ticker in tickers if ticker in fresh}

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
            self._transport.limiter.close()

    def _has_room(self) -> bool:
        if self._transport is None or time.monotonic() < self._rests_until:
            return False
        if ProviderHealth(self._database.transaction).rests(TODAY.name):
            return False
        state = self._transport.limiter.state()
        return not self._transport.limiter.per_minute or state.free > _KEPT_FREE

    def _keep(self, asked: Sequence[str], found: Mapping[str, Quote]) -> None:
        if len(self._known) > _KEPT_SYMBOLS:
            self._known.clear()
        now = time.monotonic()
        self._known |= {ticker: (now, found.get(ticker)) for ticker in asked}


def _transport(source: Source, database: Database) -> Transport | None:
    """Return the way to the provider, None where it is off or no simulator runs."""
    if source.is_off or (source.is_simulated and source.access.url is None):
        return None
    return source.transport(database, Bounds(connect_s=2.0, read_s=3.0, total_s=4.0, refusals=1))
