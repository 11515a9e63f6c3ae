"""One round of refreshes: each due symbol asked once, in order, and noted.

Used by the scheduled run, which tells Dagster of it, and by `swiftbolt live`, which prints it.
What belongs here: the round. What does not: who is due (`policy/freshness.py`), one refresh
(`today.py`), the run (`jobs/live.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.providers.health import ProviderHealth
from swiftbolt_assets.errors import LeftAloneError, ProviderError
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.filling.today import refresh_today
from swiftbolt_assets.policy.admission import URGENT
from swiftbolt_assets.policy.freshness import closed_through

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from resources.bars.live import LiveBook
    from resources.providers.contract import BarProvider
    from resources.storage import Storage
    from swiftbolt_assets.filling.filler import Filled
    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.market.timeframes import Timeframe
    from swiftbolt_assets.policy.freshness import Watched


@dataclass(frozen=True)
class Refreshed:
    """What came of one symbol.

    Attributes:
        watched: the symbol as it stood before.
        at: the market instant for which it was asked.
        closed_through: the end of the newest quarter hour that had closed then.
        filled: what was stored, None after a failure.
        error: why nothing was stored, one line; None when all is well.

    """

    watched: Watched
    at: datetime
    closed_through: datetime
    filled: Filled | None
    error: str | None


@dataclass(frozen=True)
class Round:
    """What a round works with.

    Attributes:
        storage: the opened storage, with the market clock.
        book: remembers the refreshes.
        provider: of today's bars.
        session: today's.
        derived: the timeframes that are derived.

    """

    storage: Storage
    book: LiveBook
    provider: BarProvider
    session: Session
    derived: Sequence[Timeframe]

    def run(self, due: Sequence[Watched], *, until: float | None = None) -> Iterator[Refreshed]:
        """Refresh one symbol after the other; each is stored and noted before it is yielded.

        A provider that cools down ends the round: it would refuse every other symbol alike.

        Args:
            due: in the order in which they are asked for.
            until: nobody is asked for after this (`time.monotonic`); None: all are.

        Raises:
            StorageError: the database does not answer or refuses.

        """
        health = ProviderHealth(self.storage.database.transaction)
        for watched in due:
            if until is not None and time.monotonic() >= until:
                return
            outcome = self._one(watched)
            yield outcome
            if outcome.error is not None and health.rests(self.provider.name):
                return

    def _one(self, watched: Watched) -> Refreshed:
        at = self.storage.clock.now()
        through = closed_through(self.session, at)
        priority = max(watched.priority, URGENT) if watched.on_screen else watched.priority
        target = Target(watched.symbol, watched.symbol_id, priority, tuple(self.derived))
        try:
            filled = refresh_today(
                target, self.session, now=at, provider=self.provider, store=self.storage.bars
            )
        except ProviderError as error:
            if not isinstance(error, LeftAloneError):
                self.book.failed(watched.symbol_id, str(error))
            return Refreshed(watched, at, through, None, str(error))
        self.book.refreshed(watched.symbol_id, at, through)
        return Refreshed(watched, at, through, filled, None)
