"""A symbol filled from a simulator over loopback into a database of its own."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from resources.bars.ledger import Ledger
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.rate_limit import Unlimited
from resources.providers.registry import HISTORY
from resources.queue.slices import WorkQueue
from resources.sources import guarded
from resources.storage import Storage
from swiftbolt_assets.clock import NEW_YORK, Clock
from swiftbolt_assets.filling.filler import Filled, Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    import polars as pl

    from resources.providers.contract import BarProvider
    from swiftbolt_assets.market.coverage import SessionCoverage
    from swiftbolt_assets.market.sessions import Session

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
TODAY = date(2026, 11, 20)
#: What `--days 730` asks for.
FIRST = TODAY - timedelta(days=730)
LAST = date(2026, 11, 19)
KEY = "sekret-Key_0123456789"


class Patient(Unlimited):
    """No limit, and refusals are not waited out."""

    def push(self, seconds: float) -> None:
        """Do not wait."""


class Simulator:
    """A running simulator and its controls."""

    def __init__(self, **settings: object) -> None:
        config = SimulatorConfig(**{"now": lambda: NOW, "tradier_allowed": 0, **settings})
        self.thread = SimulatorThread(config).start()
        self.url = self.thread.polygon_url
        self._truth: dict[tuple[str, str, date, date], list[dict[str, Any]]] = {}

    def _call(self, path: str, method: str = "GET", body: object = None) -> Any:  # noqa: ANN401
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def truth(self, symbol: str, timeframe: str, first: date, last: date) -> list[dict[str, Any]]:
        key = (symbol, timeframe, first, last)
        if key not in self._truth:
            self._truth[key] = self._call(
                f"/simulator/truth/{quote(symbol)}/{timeframe}?from={first}&to={last}"
            )
        return self._truth[key]

    def faults(self, **plan: object) -> None:
        self._call("/simulator/faults", "PUT", plan)

    def healthy(self) -> None:
        self._call("/simulator/faults", "DELETE")

    def requests(self, provider: str = "polygon") -> list[dict[str, Any]]:
        return [r for r in self._call("/simulator/requests") if r["provider"] == provider]

    def forget_requests(self) -> None:
        self._call("/simulator/requests", "DELETE")


@dataclass
class Desk:
    """One symbol, its database, and a filler on a provider."""

    database: Database
    simulator: Simulator
    symbol: str = "AAPL"
    derived: tuple[Timeframe, ...] = (Timeframe.H1, Timeframe.H4)
    today: date = TODAY
    later: timedelta = timedelta(0)
    bounds: Bounds = field(default_factory=lambda: Bounds(first_wait_s=0.001))

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.database)
        self.store = BarStore(self.database)
        self.symbol_id: UUID = ensure_symbols(self.database, [self.symbol])[self.symbol]
        self.target = Target(self.symbol, self.symbol_id, 200, self.derived)
        self.transport = Transport(
            self.simulator.url,
            name="polygon",
            key=Secret(KEY, "POLYGON_API_KEY"),
            limiter=Patient(),
            record=self.ledger.record_request,
            bounds=self.bounds,
        )
        clock = Clock(self.database.clock_offset)
        work = WorkQueue(self.database)
        storage = Storage(self.database, self.store, self.ledger, work, clock)
        self.polygon: BarProvider = guarded(HISTORY, self.transport, storage)

    def close(self) -> None:
        self.transport.close()
        self.store.close()

    def sessions(self, first: date = FIRST, last: date = LAST) -> list[Session]:
        return xnys().between(first, last)

    def fill(
        self,
        first: date = FIRST,
        last: date = LAST,
        *,
        force: bool = False,
        provider: BarProvider | None = None,
    ) -> list[Filled]:
        """Fill to the end and return each stored answer."""
        filler = Filler(provider or self.polygon, self.store, self.ledger, xnys())
        sessions = self.sessions(first, last)
        return list(filler.fill(self.target, sessions, now=self.now, force=force))

    @property
    def now(self) -> datetime:
        """Return the evening of the desk's day in New York, or some time later."""
        return datetime.combine(self.today, time(17, 30), NEW_YORK).astimezone(UTC) + self.later

    def coverage(self, first: date = FIRST, last: date = LAST) -> dict[date, SessionCoverage]:
        return self.ledger.coverage(self.symbol_id, first, last)

    def bars(self, timeframe: str, first: date = FIRST, last: date = LAST) -> pl.DataFrame:
        sessions = self.sessions(first, last)
        return self.store.read(
            self.symbol_id, Timeframe(timeframe), sessions[0].opens, sessions[-1].closes
        )

    def rejects(self) -> list[str]:
        with self.database.transaction() as connection:
            rows = connection.execute("select rule from rejected_bars order by id").fetchall()
        return [row[0] for row in rows]

    def asked(self) -> list[tuple[str, str]]:
        """Return the windows of the requests that reached the simulator."""
        paths = [request["path"].split("/") for request in self.simulator.requests()]
        return [(path[-2], path[-1]) for path in paths]

    def cool_down_is_over(self) -> None:
        """Let five minutes pass."""
        with self.database.transaction() as connection:
            connection.execute("update provider_health set failures = 0, cooling_until = null")

    def assert_exact(self, first: date = FIRST, last: date = LAST) -> None:
        """Hold the table and the ledger against the simulator's own truth, bar for bar."""
        for timeframe in Timeframe:
            if timeframe is Timeframe.M15 or timeframe in self.derived:
                self._assert_equal(str(timeframe), first, last)
        rows = self.coverage(first, last)
        sessions = self.sessions(first, last)
        assert sorted(rows) == [session.day for session in sessions]
        starts = set(self.bars("m15", first, last)["ts"].to_list())
        for session in sessions:
            row = rows[session.day]
            absent = {slot for slot in session.slot_starts() if slot not in starts}
            assert row.state == "final", row
            assert (row.expected, row.bars) == (session.slots, session.slots - len(absent)), row
            assert (row.reason is None) == (row.bars > 0), row
            assert set(row.absences) == (absent if row.bars else set()), row

    def _assert_equal(self, timeframe: str, first: date, last: date) -> None:
        stored = self.bars(timeframe, first, last)
        truth = self.simulator.truth(self.symbol, timeframe, first, last)
        assert stored["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_list() == [
            bar["ts"] for bar in truth
        ]
        exact = ("open", "high", "low", "close") + (
            ("volume", "vwap") if timeframe == "m15" else ()
        )
        for column in exact:
            assert stored[column].to_list() == [bar[column] for bar in truth], column
        assert stored["trade_count"].to_list() == [bar["n"] for bar in truth]
        for column in ("volume", "vwap"):
            for ours, bar in zip(stored[column], truth, strict=True):
                theirs = bar[column]
                if theirs is None or ours is None:
                    assert ours is theirs is None
                else:
                    assert abs(ours - theirs) <= 1e-9 * abs(theirs)


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[Simulator]:
    """Yield an unlimited simulator for the whole folder; tests take `simulator`."""
    running = Simulator()
    yield running
    running.thread.stop()


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Iterator[Simulator]:
    """Yield the shared simulator, healthy and with an empty log."""
    shared_simulator.healthy()
    shared_simulator.forget_requests()
    yield shared_simulator
    shared_simulator.healthy()


@pytest.fixture
def other_simulator() -> Iterator[Callable[..., Simulator]]:
    """Start a simulator with settings of its own."""
    running: list[Simulator] = []

    def start(**settings: object) -> Simulator:
        running.append(Simulator(**settings))
        return running[-1]

    yield start
    for one in running:
        one.thread.stop()


@pytest.fixture
def desk(database_url: str, simulator: Simulator) -> Iterator[Callable[..., Desk]]:
    """Make desks on a database whose market clock is the simulator's."""
    made: list[Desk] = []
    database = Database(database_url, NOW - datetime.now(UTC))

    def make(symbol: str = "AAPL", **settings: Any) -> Desk:  # noqa: ANN401 - fields of Desk
        chosen = {"simulator": simulator, "database": database, **settings}
        made.append(Desk(symbol=symbol, **chosen))
        return made[-1]

    yield make
    for one in made:
        one.close()
