"""What a run, a command and the API work with: the bars' database, opened.

What belongs here: the record, and how it is opened. What does not: what its parts do (`bars/`,
`queue/`), how Dagster hands it to assets (`dagster.py`).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from resources.bars.calendar import load_calendar
from resources.bars.ledger import Ledger
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.postgres.embedded.server import locate
from resources.queue.slices import WorkQueue

if TYPE_CHECKING:
    from uuid import UUID

    from swiftbolt_assets.clock import Clock
    from swiftbolt_assets.market.sessions import Calendar
    from swiftbolt_assets.settings import Settings


@dataclass(frozen=True)
class Storage:
    """The opened storage of one run.

    Attributes:
        database: where the bars live.
        bars: writes and reads bars.
        ledger: knows what is settled.
        work: the queue of slices.
        clock: the market clock.
        providers: closes the connections to providers that were opened on it.

    """

    database: Database
    bars: BarStore
    ledger: Ledger
    work: WorkQueue
    clock: Clock
    providers: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def calendar(self) -> Calendar:
        """Return the calendar in force when it was first asked for: a run keeps it to its end."""
        return load_calendar(self.database)

    def symbol(self, ticker: str) -> UUID:
        """Return the id of a canonical ticker, adding it when it is missing."""
        return ensure_symbols(self.database, [ticker])[ticker]

    def close(self) -> None:
        """Close what was opened, the providers' connections included."""
        self.providers.close()
        self.bars.close()


def open_database(settings: Settings) -> Database:
    """Return the bars' database that the settings name; the server is not started."""
    url = settings.database_url or locate(settings.home).url("swiftbolt")
    return Database(url, settings.clock.offset)


def open_storage(database: Database, clock: Clock) -> Storage:
    """Return the storage on a database; connections are made when they are first needed."""
    return Storage(database, BarStore(database), Ledger(database), WorkQueue(database), clock)
