"""The product's own fill over recorded replies, and the proof that it stored the right bars.

What belongs here: running it, emptying the tables, comparing. What does not: timing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from replies import LAST, WALL, Recorded, two_years, windows

from resources.bars.ledger import Ledger
from resources.bars.store import BarStore
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from uuid import UUID

    from resources.bars.session_write import SessionsWrite, Written
    from resources.postgres.database import Database
    from swiftbolt_assets.filling.filler import Filled

DERIVED = (Timeframe.H1, Timeframe.H4)


class KeepingStore(BarStore):
    """A store that remembers what it wrote."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.kept: list[SessionsWrite] = []

    def write(self, write: SessionsWrite) -> Written:
        """Store and remember."""
        self.kept.append(write)
        return super().write(write)


def fill(
    database: Database,
    recorded: Recorded,
    ids: dict[str, UUID],
    *,
    force: bool = False,
    store: BarStore | None = None,
) -> list[Filled]:
    """Fill two years of some symbols, each reply committed before the next is read."""
    opened = store or BarStore(database)
    filler = Filler(recorded, opened, Ledger(database), xnys())
    try:
        return [
            filled
            for symbol, symbol_id in ids.items()
            for filled in filler.fill(
                Target(symbol, symbol_id, 100, DERIVED), two_years(), now=WALL, force=force
            )
        ]
    finally:
        opened.close()


def forget(database: Database) -> None:
    """Empty the tables that a fill writes; the symbols stay."""
    with database.connect() as connection:
        connection.execute(
            "truncate ohlc_bars_v2, session_coverage, coverage_status, rejected_bars"
        )


def verify(database: Database, recorded: Recorded, ids: dict[str, UUID]) -> int:
    """Hold the stored bars against the replies, and h1 and h4 against SQL; return the m15 bars."""
    sessions = two_years()
    ledger, store = Ledger(database), BarStore(database)
    bars = 0
    try:
        for symbol in list(ids)[:2]:
            stored = store.read(ids[symbol], Timeframe.M15, sessions[0].opens, sessions[-1].closes)
            wanted = pl.concat(
                [
                    recorded.fetch(symbol, *window, priority=0).bars
                    for window in reversed(windows(sessions))
                ]
            )
            spans = pl.DataFrame(
                {"opens": [s.opens for s in sessions], "closes": [s.closes for s in sessions]},
                schema={"opens": wanted.schema["ts"], "closes": wanted.schema["ts"]},
            )
            wanted = (
                wanted.join_asof(spans, left_on="ts", right_on="opens")
                .filter(pl.col("ts") < pl.col("closes"))
                .drop("opens", "closes")
            )
            assert stored.equals(wanted), f"{symbol}: stored bars differ from the replies"
            underivable = ledger.underivable_bars(ids[symbol], [s.day for s in sessions])
            assert not underivable, f"{symbol}: not a resample: {underivable[:3]}"
            bars = stored.height
        with database.connect() as connection:
            counted = connection.execute(
                "select count(*) from ohlc_bars_v2 where timeframe = 'm15'"
            ).fetchone()
        assert counted == (bars * len(ids),), "symbols differ in bars"
        for symbol_id in ids.values():
            coverage = ledger.coverage(symbol_id, sessions[0].day, LAST)
            assert {row.state for row in coverage.values()} == {"final"}, "a session is open"
            assert len(coverage) == len(sessions), "a session is missing from the ledger"
    finally:
        store.close()
    return bars * len(ids)
