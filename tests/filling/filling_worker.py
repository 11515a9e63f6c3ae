"""A process that fills two years of AAPL and ends 0, or ends 1 with one line on standard error.

Arguments: the database's URL, the market clock's offset in seconds, the provider's URL.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta

from resources.bars.ledger import Ledger
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.polygon.bars import PolygonClient
from resources.providers.rate_limit import Unlimited
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe


def main() -> int:
    url, offset, provider_url = sys.argv[1:]
    database = Database(url, timedelta(seconds=float(offset)))
    ledger = Ledger(database)
    transport = Transport(
        provider_url,
        name="polygon",
        key=Secret("any", "POLYGON_API_KEY"),
        limiter=Unlimited(),
        record=ledger.record_request,
        bounds=Bounds(first_wait_s=0.001),
    )
    filler = Filler(PolygonClient(transport), BarStore(database), ledger, xnys())
    sessions = xnys().between(date(2024, 11, 20), date(2026, 11, 19))
    try:
        symbol_id = ensure_symbols(database, ["AAPL"])["AAPL"]
        target = Target("AAPL", symbol_id, 200, (Timeframe.H1, Timeframe.H4))
        with ledger.symbol_turn(symbol_id):
            for _ in filler.fill(target, sessions, now=datetime(2026, 11, 20, 22, 30, tzinfo=UTC)):
                continue
    except SwiftBoltError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
