"""Interest is recorded, too, where another transaction has locked in another order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from uuid import UUID

from resources.queue.tracking import track
from swiftbolt_assets.cli.tables import table

if TYPE_CHECKING:
    from resources.postgres.database import Database
    from resources.queue.definitions import Definition

WAITING = "select count(*) from pg_locks where not granted"
TOUCH = "update job_definitions set priority = 1 where symbol = %s"


def test_the_one_that_the_server_ends_is_run_once_more(database: Database) -> None:
    symbols = ["AMD", "TSLA"]
    found: list[Definition] = []
    tracker = threading.Thread(
        target=lambda: found.extend(track(database, UUID(int=0), symbols, "watchlist"))
    )
    with database.connect(autocommit=True) as watcher, database.transaction() as other:
        other.execute(TOUCH, ("TSLA",))
        tracker.start()
        while watcher.execute(WAITING).fetchone() == (0,):
            tracker.join(0.01)
        # It holds AMD and waits for TSLA; the server ends who has waited longest, the tracker.
        other.execute(TOUCH, ("AMD",))
    tracker.join(30)
    assert [(row.symbol, row.timeframe, row.priority) for row in found] == [
        (symbol, timeframe, 300) for symbol in symbols for timeframe in ("m15", "h1", "h4")
    ]


def test_a_message_cannot_steer_the_terminal() -> None:
    lines = list(table(["error_message"], [["a\x1b[2Jb\nc\r\x07"]], 80))
    assert lines == ["error message", "a [2Jb c"]


def test_a_table_cuts_its_widest_column_first() -> None:
    rows = [["AAPL", 1_234, "x" * 50], ["B", None, "y"]]
    lines = list(table(["symbol", "bars", "why"], rows, 30))
    assert lines == [
        "symbol   bars  why",
        "AAPL    1,234  xxxxxxxxxxxxxx…",
        "B           -  y",
    ]
