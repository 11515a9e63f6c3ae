"""A symbol filled from a simulator, and the command that proves it complete, in this process."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from resources.bars.ledger import Ledger
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.polygon.bars import PolygonClient
from resources.providers.rate_limit import Unlimited
from swiftbolt_assets.cli.commands.prove import run_prove
from swiftbolt_assets.clock import new_york_date
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

KEY = "sekret-Key_0123456789"


class Patient(Unlimited):
    """No limit, and refusals are not waited out."""

    def push(self, seconds: float) -> None:
        """Do not wait."""


@dataclass
class Notary:
    """A database at an instant of the market, its provider, and `swiftbolt prove`."""

    now: datetime
    url: str
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.simulator = SimulatorThread(SimulatorConfig(now=lambda: self.now)).start()
        self.move(timedelta(0))

    def move(self, later: timedelta) -> None:
        """Let time pass on the market's clock."""
        self.now += later
        self.today = new_york_date(self.now)
        self.database = Database(self.url, self.now - datetime.now(UTC))
        self.environment["SWIFTBOLT_NOW"] = self.now.isoformat()
        for name, value in self.environment.items():
            self.monkeypatch.setenv(name, value)

    def close(self) -> None:
        self.simulator.stop()

    def fill(self, ticker: str, first: date, last: date, *, force: bool = False) -> UUID:
        """Fill past sessions until all are settled."""
        ledger, store = Ledger(self.database), BarStore(self.database)
        symbol_id = ensure_symbols(self.database, [ticker])[ticker]
        transport = Transport(
            self.simulator.polygon_url,
            name="polygon",
            key=Secret(KEY, "POLYGON_API_KEY"),
            limiter=Patient(),
            record=ledger.record_request,
            bounds=Bounds(first_wait_s=0.001),
        )
        target = Target(ticker, symbol_id, 200, (Timeframe.H1, Timeframe.H4))
        filler = Filler(PolygonClient(transport), store, ledger, xnys())
        try:
            sessions = xnys().between(first, last)
            list(filler.fill(target, sessions, now=self.now, force=force))
        finally:
            transport.close()
            store.close()
        return symbol_id

    def spoil(self, **plan: object) -> None:
        """Let replies go wrong; without a plan they are right again."""
        request = urllib.request.Request(
            f"{self.simulator.polygon_url}/simulator/faults",
            data=json.dumps(plan).encode(),
            method="PUT" if plan else "DELETE",
        )
        urllib.request.urlopen(request, timeout=10).close()

    def prove(self, symbol: str, **options: Any) -> str:  # noqa: ANN401 - of the command
        """Run the command; return what it printed."""
        chosen = {"target": None, "source": None, "as_json": False, **options}
        self.capsys.readouterr()
        run_prove(symbol, **chosen)
        return self.capsys.readouterr().out

    def proof(self, symbol: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        report: dict[str, Any] = json.loads(self.prove(symbol, as_json=True, **options))
        return report

    def refusal(self, symbol: str, **options: Any) -> str:  # noqa: ANN401
        """Run the command, which must fail; return its one line."""
        with pytest.raises(SwiftBoltError) as caught:
            self.prove(symbol, **options)
        line = str(caught.value)
        assert "\n" not in line
        return line

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def requests(self) -> int:
        return int(self.rows("select count(*) from provider_requests")[0][0])


@pytest.fixture
def notary(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[[datetime], Notary]]:
    """Open the command's world at an instant."""
    for name in ("POLYGON_API_KEY", "TRADIER_TOKEN", "SWIFTBOLT_DAGSTER_URL"):
        monkeypatch.delenv(name, raising=False)
    made: list[Notary] = []

    def make(now: datetime) -> Notary:
        environment = {
            "SWIFTBOLT_HOME": str(tmp_path / "home"),
            "SWIFTBOLT_DATABASE_URL": database_url,
        }
        made.append(Notary(now, database_url, monkeypatch, capsys, environment))
        return made[-1]

    yield make
    for one in made:
        one.close()
