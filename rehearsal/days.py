"""Days lived through with the product's own planner, claims, filler, live rounds and certificates.

The market clock is stepped; the simulator follows it. A request takes the twelve seconds of it that
five a minute leave, so that a bad hour ends while it is asked, and so does a wait that a refusal
demands. What waits in real time (a pause after a failure, a cool-down) is shortened by what has
passed on the market clock. Dagster is left out.

What belongs here: time, and the order of a day. What does not: what goes wrong (`scenario.py`), and
whether all came right in the end (`verdict.py`).
"""

from __future__ import annotations

import io
import json
import os
import urllib.request
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import sql

from rehearsal.scenario import CLOSE, EVENING, MORNING, STEPS, at
from resources.bars.certificates import CertificateBook
from resources.bars.ledger import Ledger
from resources.bars.live import LiveBook
from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.rate_limit import FIRST_PAUSE_S, LONGEST_PAUSE_S, Grant, Unlimited
from resources.providers.registry import HISTORY, TODAY
from resources.queue.definitions import Change, change_definitions
from resources.queue.tracking import track
from resources.sources import Source, guarded
from resources.storage import open_storage
from sensors.backfill import Rules, take_on
from swiftbolt_assets.cli.commands.prove import run_prove
from swiftbolt_assets.errors import ProviderError, SwiftBoltError
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.live_round import Round
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.freshness import due
from swiftbolt_assets.settings import CLOCK_OFFSET, read_settings
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date
    from pathlib import Path

    from rehearsal.scenario import Scenario
    from resources.queue.slices import Claim
    from resources.storage import Storage
    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.simulator.unreliable import Unreliable

#: A re-ask after twenty days must still be wanted.
WINDOW_DAYS = 30
PER_MINUTE = 5
_ANYBODY = UUID(int=0)
_DERIVED = (Timeframe.H1, Timeframe.H4)
_QUICK = Bounds(first_wait_s=0.001, longest_wait_s=0.001)
#: Pauses that end about the same time end together.
_TOGETHER_S = 5.0
#: Where real time is waited for: an instant of theirs that lies ahead is the end of a pause.
_WAITING = ("job_runs", "symbol_refusals", "provider_health")
_PAUSES = """
select table_name::text, column_name::text from information_schema.columns
 where table_schema = 'public' and table_name = any(%s)
   and data_type = 'timestamp with time zone'
"""
_PASSED = "update {0} set {1} = {1} - make_interval(secs => %s) where isfinite({1})"
_AHEAD = " and {1} > clock_timestamp()"


class _Paced(Unlimited):
    """Five requests a minute of the market clock, which a request and a refusal's wait move on."""

    def __init__(self, spend: Callable[[float], None], sent: Callable[[], None]) -> None:
        super().__init__()
        self._spend = spend
        self._sent = sent
        self._pause = FIRST_PAUSE_S

    @contextmanager
    def slot(
        self,
        *,
        priority: int,
        symbol: str | None = None,
        on_wait: Callable[[float], None] | None = None,
    ) -> Iterator[Grant]:
        """Yield at once; the clock has moved."""
        del symbol, on_wait
        self._spend(60 / PER_MINUTE)
        self._sent()
        with super().slot(priority=priority) as grant:
            yield grant

    def refused(self, seconds: float | None) -> float:
        """Let the wait pass; without a word of the provider it doubles each time."""
        pause = self._pause if seconds is None else seconds
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        self._spend(pause)
        return pause


@dataclass(frozen=True)
class Claimed:
    """What a certificate says of a session, one letter a quarter hour, and when it first did."""

    letters: dict[str, str]
    slots: str
    at: datetime


@dataclass
class Days:
    """An installation whose market clock is stepped.

    Attributes:
        scenario: its days and symbols.
        url: of its migrated, empty database.
        home: a folder of its own.
        unreliable: what goes wrong; None for a provider without fault.
        certify: mornings and evenings until each symbol has a new certificate; 0 for none at all.
        delistings: by symbol, the first day without it.
        now: the market's instant.
        nights: requests for history up to the end of each day.
        first_fill: those of the first step.
        claims: what certificates say, by symbol and day.
        certificates: how many were issued.
        refused: how many were not, because something was not settled.
        complaints: why others were not.

    """

    scenario: Scenario
    url: str
    home: Path
    unreliable: Unreliable | None = None
    certify: int = 0
    delistings: Mapping[str, date] = field(default_factory=dict)
    now: datetime = field(init=False)
    nights: list[int] = field(default_factory=list)
    first_fill: int = 0
    claims: dict[tuple[str, date], list[Claimed]] = field(default_factory=dict)
    certificates: int = 0
    refused: int = 0
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = at(self.scenario.first, STEPS[0]).astimezone(UTC)
        self._requests: list[datetime] = []
        self._passed = 0.0
        self._pausing: list[tuple[str, str]] = []
        self.simulator = SimulatorThread(
            SimulatorConfig(
                now=lambda: self.now,
                tradier_allowed=0,
                unreliable=self.unreliable,
                delistings=self.delistings,
            )
        )

    @property
    def database(self) -> Database:
        """Return the database on the market clock."""
        return Database(self.url, self.now - datetime.now(UTC))

    @property
    def requests(self) -> int:
        """Return how many requests for history were sent so far."""
        return len(self._requests)

    @property
    def busiest_minute(self) -> int:
        """Return the most requests in any sixty seconds."""
        minute = timedelta(seconds=60)
        return max(sum(a <= b < a + minute for b in self._requests) for a in self._requests)

    def call(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return what the simulator's own endpoints answer."""
        with urllib.request.urlopen(f"{self.simulator.polygon_url}{path}", timeout=60) as reply:  # noqa: S310 - loopback
            return json.load(reply)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return a statement's rows."""
        with self.database.transaction() as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def live(self) -> Iterator[date]:
        """Live through all days, yielding each when it is over; the simulator must be running."""
        self._want()
        self._pausing = self.rows(_PAUSES, list(_WAITING))
        self._transport = Transport(
            self.simulator.polygon_url,
            name="polygon",
            key=Secret("simulated", "POLYGON_API_KEY"),
            limiter=_Paced(self._spend, lambda: self._requests.append(self.now)),
            record=lambda sent: Ledger(self.database).record_request(sent),
            bounds=_QUICK,
        )
        for number in range(self.scenario.days):
            day = self.scenario.first + timedelta(days=number)
            session = xnys().session(day)
            ends = [*(at(day, step) for step in STEPS[1:]), at(day + timedelta(days=1), STEPS[0])]
            for step, end in zip(STEPS, ends, strict=True):
                self._reach(at(day, step))
                self._work(end)
                self.first_fill = self.first_fill or self.requests
                if step == CLOSE and session is not None:
                    self._refresh(session)
                if self.certify and step in {MORNING, EVENING}:
                    turn = (2 * number + (step == EVENING)) % self.certify
                    self._certify(self.scenario.symbols[turn :: self.certify])
            self.nights.append(self.requests)
            yield day
        self._transport.close()

    def _want(self) -> None:
        self.rows("delete from job_definitions")
        self.rows("insert into auth.users (id) values (%s) on conflict do nothing", _ANYBODY)
        track(self.database, _ANYBODY, self.scenario.symbols, "recent_search")
        for symbol in self.scenario.symbols:
            change_definitions(self.database, symbol, None, Change(window_days=WINDOW_DAYS))

    # --- time -----------------------------------------------------------------------------------

    def _spend(self, seconds: float) -> None:
        """Move the clock; pauses hear of it before the next look at the queue."""
        self.now += timedelta(seconds=seconds)
        self._passed += seconds

    def _reach(self, instant: datetime) -> None:
        """Let time pass until an instant."""
        self._spend(max(0.0, (instant - self.now).total_seconds()))

    def _pauses(self) -> float | None:
        """Shorten what waits by the time that has passed; return the seconds to the next end."""
        passed, self._passed = self._passed, 0.0
        ends: list[float] = []
        with self.database.transaction() as connection:
            for names in self._pausing:
                table, column = map(sql.Identifier, names)
                # How long a provider has failed decides how long it rests.
                shifted = _PASSED if names[0] == "provider_health" else _PASSED + _AHEAD
                connection.execute(sql.SQL(shifted).format(table, column), (passed,))
                left = connection.execute(
                    sql.SQL(
                        "select extract(epoch from min({1}) - clock_timestamp())::float8 from {0}"
                        " where {1} > clock_timestamp() and isfinite({1})"
                    ).format(table, column)
                ).fetchone()
                ends += [left[0]] if left and left[0] is not None else []
        return min(ends, default=None)

    # --- a day's work ---------------------------------------------------------------------------

    def _work(self, until: datetime) -> None:
        """Plan, claim and fill until nothing is due and no pause ends before an instant."""
        while True:
            pause = self._pauses()
            if self._fill():
                continue
            if pause is None or self.now + timedelta(seconds=pause) >= until:
                return
            self._spend(pause + _TOGETHER_S)

    def _fill(self) -> int:
        """Take on what is due and fill it, as sensor and runs do; return the claims."""
        with self._installed() as storage:
            storage.work.plan_doubted()
            settings = read_settings()
            rules = Rules(settings.first_date, settings.max_concurrent_jobs, background=True)
            claims = take_on(storage, rules).claims
            for claim in claims:
                provider = guarded(HISTORY, self._transport, storage)
                filler = Filler(provider, storage.bars, storage.ledger, storage.calendar)
                self._run(storage, claim, filler)
        return len(claims)

    def _run(self, storage: Storage, claim: Claim, filler: Filler) -> None:
        target = Target(claim.symbol, storage.symbol(claim.symbol), claim.priority, _DERIVED)
        sessions = storage.calendar.between(claim.slices[-1].first, claim.slices[0].last)
        try:
            for _ in filler.fill(target, sessions, now=storage.clock.now()):
                pass
        except ProviderError as error:
            storage.work.fail(claim.symbol, error)

    def _refresh(self, session: Session) -> None:
        """Serve whoever is due, as the scheduled run does."""
        with self._installed() as storage:
            book = LiveBook(storage.database)
            provider = Source.of(TODAY, read_settings()).open(storage)
            wanted = due(book.watched(), session, storage.clock.now())
            for one in Round(storage, book, provider, session, _DERIVED).run(wanted):
                if one.error is not None:
                    self.complaints.append(f"{session.day}: {one.error}")

    def _certify(self, symbols: tuple[str, ...]) -> None:
        """Issue certificates as `swiftbolt prove` does, and keep what they say."""
        with self._installed() as storage:
            book = CertificateBook(storage.database)
            for symbol in symbols:
                try:
                    with redirect_stdout(io.StringIO()):
                        run_prove(symbol, target=None, source=None, as_json=False)
                except SwiftBoltError as error:
                    if "not settled" in str(error):
                        self.refused += 1
                    else:
                        self.complaints.append(f"{self.now:%Y-%m-%d %H:%M}: {error}")
                    continue
                self.certificates += 1
                certificate = book.newest(storage.symbol(symbol))
                for day in certificate.days if certificate else ():
                    said = self.claims.setdefault((symbol, day.day), [])
                    if certificate and (not said or said[-1].slots != day.slots):
                        said.append(Claimed(certificate.letters, day.slots, self.now))

    @contextmanager
    def _installed(self) -> Iterator[Storage]:
        """Have the environment of an installation at this instant, and its storage."""
        url = self.simulator.polygon_url
        offset = (self.now - datetime.now(UTC)).total_seconds()
        before = dict(os.environ)
        for name in ("POLYGON_API_KEY", "MASSIVE_API_KEY", "TRADIER_TOKEN"):
            os.environ.pop(name, None)
        os.environ |= {
            "SWIFTBOLT_HOME": str(self.home),
            "SWIFTBOLT_DATABASE_URL": self.url,
            "POLYGON_BASE_URL": url,
            "TRADIER_BASE_URL": url,
            "TRADIER_REQUESTS_PER_MINUTE": "0",
            CLOCK_OFFSET: f"{offset:.6f}",
        }
        storage = open_storage(self.database, read_settings().clock)
        try:
            yield storage
        finally:
            storage.close()
            os.environ.clear()
            os.environ.update(before)
