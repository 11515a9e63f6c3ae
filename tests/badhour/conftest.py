"""A provider that plays scripts, and the real chain from the queue to the bars."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.health import ProviderHealth
from resources.providers.http import Bounds, Transport
from resources.providers.rate_limit import PostgresLimiter, Unlimited
from resources.providers.registry import HISTORY
from resources.sources import guarded
from resources.storage import open_storage
from sensors.backfill import Rules, take_on
from swiftbolt_assets.clock import Clock
from swiftbolt_assets.errors import ProviderError
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sensors.backfill import Taken

    #: (symbol, first day, last day) -> status, body and headers; None answers with bars.
    Script = Callable[[str, date, date], tuple[int, dict[str, Any], dict[str, str]] | None]

OK = 200


@dataclass(frozen=True)
class Asked:
    """A request that arrived."""

    at: float
    symbol: str
    first: date
    last: date
    status: int


@dataclass
class StandIn:
    """A loopback server that answers for Polygon as its script says."""

    script: Script = field(default=lambda _symbol, _first, _last: None)
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = self.path.partition("?")[0].split("/")
                symbol, first, last = parts[4], *map(date.fromisoformat, parts[-2:])
                status, body, headers = stand_in.script(symbol, first, last) or (
                    OK,
                    bars(symbol, first, last),
                    {},
                )
                stand_in.asked.append(Asked(time.monotonic(), symbol, first, last, status))
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def of(self, symbol: str) -> list[Asked]:
        return [one for one in self.asked if one.symbol == symbol]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def bars(symbol: str, first: date, last: date) -> dict[str, Any]:
    """Return every quarter hour of every session."""
    rows = [
        {
            "t": int(start.timestamp() * 1000), "o": 100.0, "h": 101.0, "l": 99.0, "c": 100.5,
            "v": 1000, "vw": 100.2, "n": 50,
        }
        for session in xnys().between(first, last)
        for start in session.slot_starts()
    ]  # fmt: skip
    return {
        "status": "OK", "ticker": symbol, "adjusted": False, "queryCount": len(rows) * 15,
        "resultsCount": len(rows), "count": len(rows), "results": rows,
    }  # fmt: skip


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    made = StandIn()
    yield made
    made.close()


@dataclass
class Desk:
    """What the platform does between the queue and the provider, in this process.

    Its market clock may be moved; nothing else may.
    """

    url: str
    provider: StandIn
    budget: dict[str, Any] | None = None
    offset: timedelta = timedelta(0)
    attempts: int = 1
    storage: Any = None

    def __post_init__(self) -> None:
        self.move(self.offset)
        self.sql(
            "delete from job_runs", "delete from job_definitions", "delete from symbol_plans",
            "delete from symbols",
        )  # fmt: skip

    def move(self, offset: timedelta) -> None:
        """Set the market clock."""
        if self.storage is not None:
            self.storage.close()
        self.offset = offset
        self.database = Database(self.url, offset)
        self.storage = open_storage(self.database, Clock(offset))
        self.health = ProviderHealth(self.database.connect)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def track(self, *symbols: str, days: int = 8) -> None:
        for symbol in symbols:
            self.sql(f"select seed_intraday_backfill_job('{symbol}', 'm15', {days}, 100)")
        self.storage.work.plan()

    def round(self) -> Taken:
        """Take on what is due, and work it off."""
        rules = Rules(date(2024, 1, 2), most=5, background=True)
        taken = take_on(self.storage, rules)
        for claim in taken.claims:
            days = [part.last for part in claim.slices] + [part.first for part in claim.slices]
            self.run(claim.symbol, min(days), max(days))
        return taken

    def rounds(self, until: Callable[[], object], seconds: float = 60.0) -> None:
        """Work as the daemon does until a condition holds."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, self.states()
            taken = self.round()
            if not taken.claims:
                with self.storage.work.listen() as ear:
                    ear.wait(min(taken.again_s or 0.5, 0.5))

    def run(self, symbol: str, first: date, last: date, *, probe: bool = False) -> str | None:
        """Fill days as a run does; return why it failed."""
        limiter = (
            Unlimited()
            if self.budget is None
            else PostgresLimiter(self.database.connect, "polygon", **self.budget)
        )
        transport = Transport(
            self.provider.url,
            name="polygon",
            key=Secret("sekret-Key_0123456789", "POLYGON_API_KEY"),
            limiter=limiter,
            record=self.storage.ledger.record_request,
            bounds=Bounds(attempts=self.attempts, first_wait_s=0.01),
        )
        with closing(transport), closing(limiter):
            provider = guarded(HISTORY, transport, self.storage, probe=probe)
            filler = Filler(provider, self.storage.bars, self.storage.ledger, self.storage.calendar)
            target = Target(symbol, self.storage.symbol(symbol), 100, ())
            today = self.storage.clock.today()
            sessions = xnys().between(first, min(last, today - timedelta(days=1)))
            try:
                list(filler.fill(target, sessions, now=self.storage.clock.now()))
            except ProviderError as error:
                self.storage.work.fail(symbol, error, (first, last))
                return str(error)
        return None

    def states(self, columns: str = "symbol, status, attempt, error_code") -> list[tuple[Any, ...]]:
        return self.sql(f"select {columns} from job_runs order by symbol, last_day desc")

    def is_done(self, *symbols: str) -> bool:
        found = [row for row in self.states() if row[0] in symbols]
        return {row[0] for row in found} == set(symbols) and {row[1] for row in found} == {
            "success"
        }

    def let_minutes_pass(self) -> None:
        """End the waits of minutes, which run on real time."""
        self.sql(
            "update symbol_refusals set next_attempt_at = clock_timestamp()"
            " where next_attempt_market_at is null",
            "update job_runs set next_attempt_at = clock_timestamp()"
            " where next_attempt_at is not null and next_attempt_market_at is null",
        )

    def close(self) -> None:
        self.storage.close()


@pytest.fixture
def new_desk(database_url: str, stand_in: StandIn) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(**settings: Any) -> Desk:  # noqa: ANN401 - fields of Desk
        made.append(Desk(database_url, stand_in, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """Give the chain on real time, a tenth of a minute before midnight cannot disturb it."""
    return new_desk(offset=datetime(2026, 11, 20, 22, 30, tzinfo=UTC) - datetime.now(UTC))
