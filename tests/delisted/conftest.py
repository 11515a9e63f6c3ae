"""An installation on the evening of 2026-11-20, whose ledger the test writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from resources.bars.session_write import SessionsWrite
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.queue.definitions import Change, change_definitions
from resources.queue.slices import WorkQueue
from resources.storage import open_storage
from swiftbolt_assets.clock import Clock
from swiftbolt_assets.filling.delisted import look_for_delisted
from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.coverage import Reason, SessionCoverage, State
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
WINDOW = 90


@dataclass
class Desk:
    """The ledger of some symbols; the market clock moves with it."""

    url: str
    now: datetime = EVENING
    entered: set[str] = field(default_factory=set)

    @property
    def database(self) -> Database:
        return Database(self.url, self.now - datetime.now(UTC))

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def past(self) -> list[date]:
        """Return the sessions of the window before today, ascending."""
        first, last = self.today - timedelta(days=WINDOW), self.today - timedelta(days=1)
        return [session.day for session in xnys().between(first, last)]

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def want(self, *symbols: str) -> None:
        """Track symbols, as an operator does."""
        ensure_symbols(self.database, symbols)
        for symbol in symbols:
            change_definitions(self.database, symbol, None, Change(window_days=WINDOW))

    def id(self, symbol: str) -> UUID:
        return ensure_symbols(self.database, [symbol])[symbol]

    def ledger(self, symbol: str, days: Sequence[date], *, bars: bool, **columns: object) -> None:
        """Enter sessions as final, with all bars or none, as earlier nights have left them."""
        if symbol not in self.entered:
            self.entered.add(symbol)
            self.want(symbol)
        self.sql(_LEDGER, bars, bars, symbol, list(days))
        for name, value in columns.items():
            self.sql(
                f"update session_coverage set {name} = %s where symbol_id = %s and day = any(%s)",
                value,
                self.id(symbol),
                list(days),
            )

    def silent(self, symbol: str, sessions: int, **columns: object) -> None:
        """Let a symbol have traded, but for so many of the newest sessions."""
        self.ledger(symbol, self.past[:-sessions], bars=True)
        self.ledger(symbol, self.past[-sessions:], bars=False, **columns)

    def look(self) -> list[str]:
        """Look for symbols that trade no more, as a tick does."""
        self.sql("delete from heartbeats")
        storage = open_storage(self.database, Clock(self.now - datetime.now(UTC)))
        try:
            return look_for_delisted(storage)
        finally:
            storage.close()

    def plan(self) -> dict[str, list[tuple[date, date]]]:
        """Plan, as a tick does a little later; return the slices that wait, by symbol."""
        self.now += timedelta(seconds=10)
        queue = WorkQueue(self.database)
        queue.plan_doubted()
        queue.plan()
        found: dict[str, list[tuple[date, date]]] = {}
        for symbol, first, last in self.sql(
            "select distinct symbol, first_day, last_day from job_runs where status = 'queued'"
            " order by 1, 3 desc"
        ):
            found.setdefault(symbol, []).append((first, last))
        return found

    def answer(
        self, symbol: str, days: Sequence[date], *, bars: bool, provider: str = "polygon"
    ) -> None:
        """Store an answer about some sessions, as a fill or a refresh does."""
        sessions = [session for day in days if (session := xnys().session(day))]
        starts = [at for session in sessions for at in session.slot_starts()] if bars else []
        rows = [(at, 100.0, 101.0, 99.0, 100.5, 10.0, None, None) for at in starts]
        frame = pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row") if rows else empty_bars()
        store = BarStore(self.database)
        is_live = provider == "tradier"
        store.write(
            SessionsWrite(
                symbol_id=self.id(symbol),
                provider=provider,
                opens=sessions[0].opens,
                closes=sessions[-1].closes,
                bars={Timeframe.M15: frame},
                forming={} if is_live else None,
                coverage=[
                    SessionCoverage(
                        session.day,
                        State.PROVISIONAL if is_live else State.FINAL,
                        None if bars else Reason.NOT_FETCHED if is_live else Reason.DELISTED,
                        session.slots,
                        session.slots if bars else 0,
                        0 if is_live else 1,
                    )
                    for session in sessions
                ],
                rejects=pl.DataFrame(schema=REJECT_SCHEMA),
                request_id=None,
            )
        )
        store.close()

    def reasons(self, symbol: str) -> dict[date, str | None]:
        rows = self.sql(
            "select day, reason from session_coverage where symbol_id = %s", self.id(symbol)
        )
        return dict(rows)

    def gaps(self, symbol: str) -> list[tuple[Any, ...]]:
        """Return the stretches that are not settled, as percent and the app see them."""
        return self.sql("select * from get_coverage_gaps(%s, 'm15', %s)", symbol, WINDOW)


_LEDGER = """
insert into session_coverage
  (symbol_id, day, state, reason, expected, bars, answers, provider, settled_at)
select s.id, m.day, 'final', case when %s then null else 'provider_empty' end, n.slots,
  case when %s then n.slots else 0 end, 3, 'polygon', clock_timestamp()
  from symbols s, market_sessions m
 cross join lateral (select (extract(epoch from m.closes - m.opens) / 900)::int as slots) n
 where s.ticker = %s and m.day = any(%s)
on conflict (symbol_id, day) do update set
  reason = excluded.reason, bars = excluded.bars, settled_at = excluded.settled_at
"""


@pytest.fixture
def desk(database_url: str) -> Desk:
    """Give an installation on which four symbols trade and nothing is missing."""
    desk = Desk(database_url)
    desk.sql("delete from job_definitions")
    for symbol in ("AAPL", "MIDL", "MSFT", "NVDA"):
        desk.ledger(symbol, desk.past, bars=True)
    return desk
