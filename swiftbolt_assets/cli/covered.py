"""Which symbols a fill has nothing to do for: told by the ledger, so that no run is launched.

What belongs here: all that a run would do for a window, as questions to the two databases. What
does not: what it does (`assets/symbol_run.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.covered import is_covered
from resources.dagster_state import DagsterState
from resources.postgres import Database
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.shards import Shards
from swiftbolt_assets.market.symbols import tradier_symbol
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.orchestration.instance import plain_dagster_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swiftbolt_assets.cli.arguments import Window
    from swiftbolt_assets.cli.installation import Installation


def uncovered(installation: Installation, symbols: Sequence[str], window: Window) -> list[str]:
    """Return the symbols of which something in a window is to be asked or told to Dagster.

    Raises:
        StorageError: the bars' database does not answer.

    """
    settings, database = installation.settings, installation.database
    now, today = settings.clock.now(), settings.clock.today()
    days = [session.day for session in window.sessions]
    past = [day for day in days if day < today]
    state = DagsterState(Database(plain_dagster_url(settings), settings.clock.offset))

    def is_done(symbol: str) -> bool:
        if today in days and settings.has_live and tradier_symbol(symbol) is not None:
            return False
        if not is_covered(database, symbol, past, now):
            return False
        shard = Shards(settings.shards).of(symbol)
        assets = [shard.asset(timeframe) for timeframe in Timeframe]
        try:
            return state.has_materialized(assets, [f"{day}|{symbol}" for day in days])
        except StorageError:
            # Its database is missing, or away: then the run itself tells that.
            return False

    return [symbol for symbol in symbols if not is_done(symbol)]
