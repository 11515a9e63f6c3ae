"""Which symbols a fill has nothing to do for: told by the ledger, so that no run is launched.

What belongs here: all that a run would do for a window, as questions to the two databases. What
does not: what it does (`assets/symbol_run.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.bars.covered import is_covered
from resources.bars.live import LiveBook
from resources.platform.dagster_state import DagsterState
from resources.providers.registry import TODAY
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.orchestration.instance import dagster_database
from swiftbolt_assets.policy.freshness import next_due
from swiftbolt_assets.policy.shards import Shards

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
    state = DagsterState(dagster_database(settings))
    live = LiveBook(database)

    def is_done(symbol: str) -> bool:
        if today in days and settings.has_live and TODAY.spelled(symbol) is not None:
            session = window.sessions[days.index(today)]
            # Whoever was asked about after the close has all of today.
            if not any(next_due(w, session, now) is None for w in live.of_symbols([symbol])):
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
