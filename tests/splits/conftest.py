"""Symbols filled and splits looked up from a simulator over loopback, in a database of its own."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from resources.bars.ledger import Ledger
from resources.bars.splits import SplitBook
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.polygon.bars import PolygonClient
from resources.providers.polygon.splits import PolygonSplits
from resources.providers.rate_limit import Unlimited
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.jobs.splits import ask
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from swiftbolt_assets.simulator.listings import Split as PlayedSplit

#: A Friday evening in New York, after the close.
NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
TODAY = date(2026, 11, 20)
KEY = "sekret-Key_0123456789"


class Patient(Unlimited):
    """No limit, and refusals are not waited out."""

    def push(self, seconds: float) -> None:
        """Do not wait."""


@dataclass
class Office:
    """A database, a provider, and what asks it."""

    database: Database
    played: dict[str, tuple[PlayedSplit, ...]]
    today: date = TODAY

    def __post_init__(self) -> None:
        self.listing_errors: dict[str, tuple[str, ...]] = {}
        config = SimulatorConfig(
            now=lambda: NOW, extra_splits=self.played, listing_errors=self.listing_errors
        )
        self.simulator = SimulatorThread(config).start()
        self.ledger, self.store = Ledger(self.database), BarStore(self.database)
        self.book = SplitBook(self.database)
        self.transport = Transport(
            self.simulator.polygon_url,
            name="polygon",
            key=Secret(KEY, "POLYGON_API_KEY"),
            limiter=Patient(),
            record=self.ledger.record_request,
            bounds=Bounds(first_wait_s=0.001),
        )
        self.told: list[str] = []

    def close(self) -> None:
        self.transport.close()
        self.store.close()
        self.simulator.stop()

    def symbol(self, ticker: str) -> UUID:
        return ensure_symbols(self.database, [ticker])[ticker]

    def fill(self, ticker: str, first: date, last: date) -> UUID:
        """Fill a symbol's past sessions, m15, h1 and h4."""
        symbol_id = self.symbol(ticker)
        target = Target(ticker, symbol_id, 200, (Timeframe.H1, Timeframe.H4))
        filler = Filler(PolygonClient(self.transport), self.store, self.ledger, xnys())
        list(filler.fill(target, xnys().between(first, last), now=NOW))
        return symbol_id

    def look_up(self) -> list[str]:
        """Ask for what is due; return why some of it failed."""
        wanted = self.book.due(self.today)
        client = PolygonSplits(self.transport)
        return [*ask(client, self.book, wanted, self.today, self.told.append).failures]

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def spoil(self, **plan: object) -> None:
        """Let replies go wrong; without a plan they are right again."""
        request = urllib.request.Request(
            f"{self.simulator.polygon_url}/simulator/faults",
            data=json.dumps(plan).encode(),
            method="PUT" if plan else "DELETE",
        )
        urllib.request.urlopen(request, timeout=10).close()

    def requests(self) -> dict[str, int]:
        """Return the requests so far: of bars, and of splits."""
        found = self.rows(
            "select endpoint like '/stocks/%%', count(*) from provider_requests group by 1"
        )
        counts = dict(found)
        return {"bars": counts.get(False, 0), "splits": counts.get(True, 0)}


@pytest.fixture
def office(database_url: str) -> Iterator[Callable[..., Office]]:
    """Open offices on a database whose market clock is the simulator's."""
    made: list[Office] = []
    database = Database(database_url, NOW - datetime.now(UTC))

    def make(**played: tuple[PlayedSplit, ...]) -> Office:
        made.append(Office(database, played))
        # What the migrations seed would be asked for, too.
        made[-1].rows("delete from job_runs")
        return made[-1]

    yield make
    for one in made:
        one.close()
