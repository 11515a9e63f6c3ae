"""How many requests two years of a symbol take, over real HTTP to the simulator.

The theoretical minimum is what could carry the minutes that were delivered; sessions that came
back without a bar must be asked for again before an absence is believed, so sparse and young
symbols take more. What belongs here: counting requests. What does not: time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from filling import DERIVED
from replies import WALL, two_years
from results import Group, Line

from resources.bars.ledger import Ledger
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.providers.endpoint import Secret
from resources.providers.http import Transport
from resources.providers.polygon.bars import PolygonClient
from resources.providers.rate_limit import limiter
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.request_windows import theoretical_minimum
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from uuid import UUID

    from server import Server

    from resources.postgres.database import Database

#: A dense symbol, a liquid class share, a sparse one, and one listed within the window.
SYMBOLS = ("AAPL", "BRK.B", "THIN", "NEWCO")
#: The packing of 52 sessions a request.
TARGET = 10


def measure(server: Server) -> Group:
    """Return the group."""
    group = Group("requests for two years, second run beside, over HTTP")
    with (
        server.database() as database,
        SimulatorThread(SimulatorConfig(now=lambda: WALL)) as simulator,
    ):
        for symbol, symbol_id in ensure_symbols(database, SYMBOLS).items():
            first = fill_over_http(database, simulator.polygon_url, symbol, symbol_id)
            second = fill_over_http(database, simulator.polygon_url, symbol, symbol_id)
            requests, minutes = asked(database, symbol)
            assert requests == first + second
            least = theoretical_minimum(minutes)
            dense = symbol in {"AAPL", "BRK.B"}
            group.lines.append(
                Line(
                    f"{symbol}: minimum {least}, again {second}",
                    f"{first}",
                    ratio=f"{first / max(least, 1):.2f}",
                    target=f"<= {TARGET}, again 0" if dense else "again 0",
                    reached=(first <= TARGET or not dense) and second == 0,
                )
            )
            group.data[symbol] = {
                "requests": first,
                "theoretical_minimum": least,
                "second_run": second,
            }
    return group


def fill_over_http(database: Database, url: str, symbol: str, symbol_id: UUID) -> int:
    """Fill two years of a symbol from a simulator; return the requests that took."""
    ledger, store = Ledger(database), BarStore(database)
    before, _ = asked(database, symbol)
    transport = Transport(
        url,
        name="polygon",
        key=Secret("simulated", "POLYGON_API_KEY"),
        limiter=limiter(database.connect, "polygon", 0),
        record=ledger.record_request,
    )
    try:
        filler = Filler(PolygonClient(transport), store, ledger, xnys())
        target = Target(symbol, symbol_id, 100, DERIVED)
        for _ in filler.fill(target, two_years(), now=WALL):
            pass
    finally:
        store.close()
    return asked(database, symbol)[0] - before


def asked(database: Database, symbol: str) -> tuple[int, int]:
    """Return the requests for a symbol, and the one-minute bars behind the successful ones."""
    with database.connect() as connection:
        row = connection.execute(
            "select count(*), coalesce(sum(base_minutes) filter (where outcome = 'ok'), 0)"
            " from provider_requests where symbol = %s",
            (symbol,),
        ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)
