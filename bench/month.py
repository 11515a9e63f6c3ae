"""Thirty days of fifty symbols in some minutes: what they leave behind, and what they ask for.

The market clock is stepped from morning to close to morning; planner, claims, filler, live rounds
and retention are the product's own, over HTTP against a simulator whose clock follows. A wrong
outcome ends the run: a session that is not final, a request for what is covered. Each session is
refreshed once, at its close: further refreshes change the same rows. What takes real time between
two days is made by hand: autovacuum's work, and the age of audit rows. Dagster is left out.

What belongs here: the days. What does not: what a refresh costs (`refreshing.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from live import ANYBODY
from process import clean_environment
from refreshing import environment
from results import Group, Line
from server import FIRST_PARTITION

from resources.dagster import open_storage
from resources.live import LiveBook
from resources.postgres import Database
from resources.retention import Retention
from resources.tracking import track
from resources.wanted import Change, change_definitions
from sensors.backfill import Rules, take_on
from swiftbolt_assets.assets.filling import Filler, Target
from swiftbolt_assets.assets.refreshing import Round
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.definitions import polygon_resource, tradier_resource
from swiftbolt_assets.market.growth import bytes_a_session
from swiftbolt_assets.market.live import due
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.settings import CLOCK_OFFSET, read_settings
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    import psycopg
    from server import Server

    from swiftbolt_assets.market.sessions import Session

SYMBOLS = [f"DAY{a}{b}" for a in "ABCDEFGHIJ" for b in "ABCDE"]
FIRST, DAYS = date(2025, 10, 13), 30
TARGET = 0.20
DERIVED = (Timeframe.H1, Timeframe.H4)
#: The first sessions' live requests are pruned from here on: as many go as come.
_STEADY = 7
_WINDOW_DAYS = 4
_AGED = (
    "update provider_requests set sent_at = %s where sent_at > %s",
    "update job_runs set finished_at = %s where finished_at > %s",
)
_VACUUMED = (
    "ohlc_bars_v2", "session_coverage", "job_runs", "provider_requests", "live_refreshes",
    "coverage_status", "symbol_plans",
)  # fmt: skip


@dataclass
class Days:
    """An installation whose market clock is stepped.

    Attributes:
        url: of its database.
        now: the market's instant.
        variables: settings of the providers and the database.
        sizes: bytes of the database after each session.

    """

    url: str
    now: datetime = datetime(2025, 10, 13, 11, tzinfo=UTC)
    variables: dict[str, str] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)

    @property
    def database(self) -> Database:
        """Return the database on the market clock."""
        return Database(self.url, self.now - datetime.now(UTC))

    def at(self, day: date, hour: int, minute: int = 0) -> None:
        """Step the clock to a New York time."""
        local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)
        self.now = local.astimezone(UTC)

    def run(self) -> None:
        """Live through all days, from the first morning on."""
        for number in range(DAYS):
            day = FIRST + timedelta(days=number)
            began = datetime.now(UTC)
            self.at(day, 7)
            if number == 0:
                self._want()
            claims, before = self._fill(), xnys().session(day - timedelta(days=1))
            # Once a symbol: its first days, and then each night the day before.
            assert claims == (len(SYMBOLS) if number == 0 or before else 0), f"{day}: {claims}"
            session = xnys().session(day)
            if session is not None:
                self.at(day, 16, 1)
                assert self._refresh(session) == len(SYMBOLS), f"{day}: somebody is not refreshed"
                assert self._refresh(session) == 0, f"{day}: somebody is refreshed twice"
            with self.database.transaction() as connection:
                for statement in _AGED:
                    connection.execute(statement.encode(), (self.now, began))
            Retention(self.database).prune(self.now, timedelta(days=30))
            if session is not None:
                self._vacuum()
                row = self.rows("select pg_database_size(current_database())")
                self.sizes.append(int(str(row[0][0])))

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Return a statement's rows."""
        with self.database.transaction() as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def _want(self) -> None:
        track(self.database, UUID(ANYBODY), SYMBOLS, "recent_search")
        for symbol in SYMBOLS:
            change_definitions(self.database, symbol, None, Change(window_days=_WINDOW_DAYS))

    def _fill(self) -> int:
        """Plan, claim and fill until nothing is due, as sensor and runs do; return the claims."""
        with environment(self._variables()):
            settings = read_settings()
            storage, claims = open_storage(self.database, settings.clock), 0
            provider = polygon_resource(settings).open(storage)
            filler = Filler(provider, storage.bars, storage.ledger)
            rules = Rules(FIRST_PARTITION, len(SYMBOLS), background=True)
            while taken := take_on(storage, rules).claims:
                for claim in taken:
                    symbol_id = storage.symbol(claim.symbol)
                    target = Target(claim.symbol, symbol_id, claim.priority, DERIVED)
                    sessions = xnys().between(claim.slices[-1].first, claim.slices[0].last)
                    for _ in filler.fill(target, sessions, today=storage.clock.today()):
                        pass
                claims += len(taken)
            storage.close()
        return claims

    def _refresh(self, session: Session) -> int:
        """Serve whoever is due, as the scheduled run does; return how many that were."""
        with environment(self._variables()):
            settings = read_settings()
            storage = open_storage(self.database, settings.clock)
            book = LiveBook(self.database)
            wanted = due(book.watched(), session, storage.clock.now())
            provider = tradier_resource(settings).open(storage)
            assert provider is not None
            for one in Round(storage, book, provider, session, DERIVED).run(wanted):
                assert one.error is None, one.error
            storage.close()
        return len(wanted)

    def _variables(self) -> dict[str, str]:
        offset = (self.now - datetime.now(UTC)).total_seconds()
        return self.variables | {CLOCK_OFFSET: f"{offset:.6f}"}

    def _vacuum(self) -> None:
        with self.database.connect() as connection:
            for table in _VACUUMED:
                connection.execute(f"vacuum (analyze) {table}".encode())


def measure(server: Server) -> Group:
    """Return the group."""
    with server.database() as database:
        days = Days(database.url)
        config = SimulatorConfig(now=lambda: days.now, tradier_allowed=0)
        with SimulatorThread(config) as simulator, database.connect() as connection:
            connection.execute("delete from job_definitions")
            connection.execute(
                "insert into auth.users (id) values (%s) on conflict do nothing", (ANYBODY,)
            )
            url = simulator.polygon_url
            days.variables = clean_environment(server.home / "month") | {
                "SWIFTBOLT_DATABASE_URL": database.url,
                "POLYGON_BASE_URL": url,
                "TRADIER_BASE_URL": url,
                "TRADIER_REQUESTS_PER_MINUTE": "0",
            }
            began = time.perf_counter()
            days.run()
            seconds = time.perf_counter() - began
            asked = _verify(days, connection)
    return _group(days, seconds, asked)


def _verify(days: Days, connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, int]:
    """Hold the database against what thirty days should leave; return requests by provider."""
    sessions = xnys().between(FIRST, FIRST + timedelta(days=DAYS - 1))
    *past, last = [session.day for session in sessions]
    final = days.rows(
        "select day, count(*) from session_coverage"
        " where day >= %s and state = 'final' and provider = 'polygon' group by 1 order by 1",
        FIRST,
    )
    assert final == [(day, len(SYMBOLS)) for day in past], "a session is forgotten"
    finalized = days.rows("select count(*) from finalizations")
    assert finalized == [(len(SYMBOLS) * len(past),)], "a live day is not replaced"
    live = days.rows(
        "select distinct (ts at time zone 'America/New_York')::date from ohlc_bars_v2"
        " where provider = 'tradier'"
    )
    assert live == [(last,)], "live bars outlast their day"
    twice = days.rows(
        "select symbol_id, timeframe, ts from ohlc_bars_v2 group by 1, 2, 3 having count(*) > 1"
    )
    assert not twice, "a bar is there twice"
    rows = connection.execute("select last_value from provider_requests_id_seq").fetchone()
    # One a symbol for its first days, one a symbol and night, one a symbol and close.
    history, today = len(SYMBOLS) * (1 + len(past)), len(SYMBOLS) * len(sessions)
    assert rows == (history + today,), f"{rows} requests, not {history} + {today}"
    return {"polygon": history, "tradier": today}


def _group(days: Days, seconds: float, asked: dict[str, int]) -> Group:
    steady = days.sizes[_STEADY - 1 :]
    grown = (steady[-1] - steady[0]) / (len(steady) - 1)
    predicted = bytes_a_session(len(SYMBOLS), until_pruned=True)
    off = grown / predicted - 1
    group = Group(f"{DAYS} simulated days of {len(SYMBOLS)} symbols, {len(days.sizes)} sessions")
    group.lines = [
        Line(
            "growth of the bars' database a session",
            f"{grown / 1e6:.2f} MB",
            f"predicted {predicted / 1e6:.2f} MB",
            ratio=f"{off:+.0%}",
            target=f"within {TARGET:.0%}",
            reached=abs(off) <= TARGET,
        ),
        Line("requests, none for what is covered", f"{asked['polygon']} + {asked['tradier']}"),
        Line("all sessions final, all days, after", f"{seconds:.0f} s"),
    ]
    group.data = {
        "sizes": days.sizes,
        "grown_a_session": grown,
        "predicted_a_session": predicted,
        "requests": asked,
        "seconds": round(seconds, 1),
    }
    return group
