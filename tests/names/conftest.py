"""A database, the simulator's list of tickers over loopback, and what pulls it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from resources.bars.ledger import Ledger
from resources.bars.listed_tickers import TickerList
from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.polygon.tickers import PolygonTickers
from resources.providers.rate_limit import Unlimited
from swiftbolt_assets.errors import ProviderError
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resources.bars.listed_tickers import Stored

#: A Friday evening in New York, after the close.
NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
TODAY = date(2026, 11, 20)
KEY = "sekret-Key_0123456789"


@dataclass
class Registry:
    """A database, a provider, and what asks it for its list."""

    database: Database
    today: date = TODAY
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.simulator = SimulatorThread(SimulatorConfig(now=lambda: NOW)).start()
        self.book = TickerList(self.database)
        self.transport = Transport(
            self.simulator.polygon_url,
            name="polygon",
            key=Secret(KEY, "POLYGON_API_KEY"),
            limiter=Unlimited(),
            record=Ledger(self.database).record_request,
            bounds=Bounds(first_wait_s=0.001),
        )

    def close(self) -> None:
        self.transport.close()
        self.simulator.stop()

    def page(self) -> Stored | None:
        """Pull the page that is due, as a run does; None where none is."""
        due = self.book.due(self.today)
        if due is None:
            return None
        try:
            page = PolygonTickers(self.transport).page(due.cursor, priority=-1)
            return self.book.store(due.cursor, page, self.today)
        except ProviderError as error:
            self.book.failed(error)
            raise

    def whole(self) -> int:
        """Pull all pages; return how many there were."""
        pages = 0
        while (stored := self.page()) is not None:
            pages += 1
            if stored.is_whole:
                break
        return pages

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: object) -> Any:  # noqa: ANN401
        return self.sql(statement, *values)[0][0]

    def spoil(self, **plan: object) -> None:
        """Let replies go wrong; without a plan they are right again."""
        request = urllib.request.Request(
            f"{self.simulator.polygon_url}/simulator/faults",
            data=json.dumps(plan).encode(),
            method="PUT" if plan else "DELETE",
        )
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture
def registry(database_url: str) -> Iterator[Registry]:
    """Give a registry on a database where nothing is queued."""
    made = Registry(Database(database_url, NOW - datetime.now(UTC)))
    made.sql("delete from job_runs")
    made.sql("update ticker_list set created_at = clock_timestamp() - interval '6 minutes'")
    yield made
    made.close()
