"""The API served over real HTTP from a thread, on a database of its own, one a module."""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import polars as pl
import psycopg
import pytest

from resources.bars.session_write import SessionsWrite
from resources.bars.store import BarStore
from resources.postgres.database import Database, sibling_database
from resources.queue.slices import WorkQueue
from swiftbolt_assets.api.keys import api_keys
from swiftbolt_assets.api.server import listening, server
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import SessionCoverage, State
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from pathlib import Path
    from uuid import UUID

    import uvicorn

    from swiftbolt_assets.api.keys import ApiKeys

#: A Friday's evening in New York, after the close.
EVENING = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
PREFIX = "/functions/v1/"
ANON, SERVICE = "anon-key-of-the-tests-0001", "service-key-of-the-tests-02"
SECRET = "jwt-secret-of-the-tests-that-signs-people-003-and-is-long-enough-for-all"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - answers are JSON
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Return the one line of an error."""
        found = self.json["error"]
        assert isinstance(found, str)
        assert found
        assert "\n" not in found
        return found


@dataclass
class Api:
    """A served API, and its database looked at from behind."""

    url: str
    database: Database
    keys: ApiKeys
    running: uvicorn.Server
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    @property
    def app(self) -> Any:  # noqa: ANN401 - the app is looked into
        return self.running.config.app

    def call(self, method: str, path: str, *, key: str | None = ANON, **options: Any) -> Reply:  # noqa: ANN401
        """Send a request; a path without a slash is a function's name."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key}")
        where = path if path.startswith("/") else PREFIX + path
        reply = self.http.request(method, self.url + where, headers=headers, **options)
        return Reply(reply.status_code, reply.headers, reply.content)

    def get(self, path: str, *, key: str | None = ANON, **options: Any) -> Reply:  # noqa: ANN401
        return self.call("GET", path, key=key, **options)

    def health(self) -> Reply:
        """Have the server look at how the parts are, and ask what it found."""
        self.app.state.api.checkup.look()
        return self.get("/health", key=None)

    def post(self, path: str, body: object, *, key: str | None = ANON, **options: Any) -> Reply:  # noqa: ANN401
        return self.call("POST", path, key=key, json=body, **options)

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return self.database.connect(autocommit=True)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as the owner; return its rows."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description is not None else []

    def clear(self) -> None:
        """Remove all symbols and what hangs on them, and what people have."""
        tables = (
            "job_runs", "job_definitions", "symbols", "symbol_plans", "auth.users",
            "coverage_status", "heartbeats", "provider_health",
            "rate_waiter", "rate_slot", "rate_limit",
        )  # fmt: skip
        self.sql("; ".join(f"delete from {table}" for table in tables))

    @property
    def queue(self) -> WorkQueue:
        return WorkQueue(self.database)

    def days(self, window: int) -> list[date]:
        """Return the session dates before today of a window, ascending."""
        today = EVENING.date()
        found = xnys().between(today - timedelta(days=window), today - timedelta(days=1))
        return [session.day for session in found]

    def fill(self, symbol: str, days: Sequence[date], *, close: float = 100.5) -> None:
        """Store the whole sessions of some days, as Polygon's answers leave them."""
        (found,) = self.sql("select id from symbols where ticker = %s", symbol)
        sessions = [session for day in sorted(days) if (session := xnys().session(day))]
        starts = [at for session in sessions for at in session.slot_starts()]
        m15 = pl.DataFrame(
            [(at, 100.0, max(101.0, close), 99.0, close, 10.0, None, None) for at in starts],
            schema=BAR_SCHEMA,
            orient="row",
        )
        derived = {one: resample(m15, sessions, one) for one in (Timeframe.H1, Timeframe.H4)}
        store = BarStore(self.database)
        store.write(
            SessionsWrite(
                symbol_id=found[0],
                provider="polygon",
                opens=sessions[0].opens,
                closes=sessions[-1].closes,
                bars={Timeframe.M15: m15} | derived,
                forming=None,
                coverage=[
                    SessionCoverage(s.day, State.FINAL, None, s.slots, s.slots, 1) for s in sessions
                ],
                rejects=pl.DataFrame(schema=REJECT_SCHEMA),
                request_id="a-request",
            )
        )
        store.close()

    def trade_today(self, symbol: str, timeframe: str = "m15", slots: int = 26) -> None:
        """Store today's bars, as Tradier tells them."""
        session = xnys().session(EVENING.date())
        assert session is not None
        self.sql(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_intraday, open, high,"
            " low, close, volume, data_status)"
            " select s.id, %s::timeframe, ts, 'tradier', true, 110, 112, 109, 111, 7, 'live'"
            " from symbols s cross join generate_series(%s::timestamptz, %s, %s) ts"
            " where s.ticker = %s",
            timeframe,
            session.opens,
            session.slot_starts()[slots - 1],
            timedelta(minutes={"m15": 15, "h1": 60, "h4": 240}[timeframe]),
            symbol,
        )


def token(user: object, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:  # noqa: ANN401
    """Return a person's token; a claim of None is left out."""
    told = {"sub": str(user), "role": "authenticated", "aud": "authenticated"}
    told |= {"exp": datetime.now(UTC) + timedelta(hours=1)} | claims
    kept = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(kept, secret, algorithm)


@contextmanager
def served(url: str, home: Path, **environment: str) -> Iterator[Api]:
    """Serve an API on a free port until the block ends."""
    settings = read_settings(
        {
            "SWIFTBOLT_HOME": str(home),
            "SWIFTBOLT_DATABASE_URL": url,
            "SWIFTBOLT_CLOCK_OFFSET": f"{(EVENING - datetime.now(UTC)).total_seconds():.3f}",
            "SWIFTBOLT_ANON_KEY": ANON,
            "SWIFTBOLT_SERVICE_KEY": SERVICE,
            "SWIFTBOLT_JWT_SECRET": SECRET,
            "SWIFTBOLT_BACKGROUND": "false",
            **environment,
        }
    )
    database = Database(url, settings.clock.offset)
    keys = api_keys(settings, "127.0.0.1")
    with listening("127.0.0.1", 0) as listener:
        running = server(settings, database, keys, "127.0.0.1")
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        api = Api(f"http://127.0.0.1:{listener.getsockname()[1]}", database, keys, running)
        try:
            wait_for(lambda: running.started or not thread.is_alive(), "the API is served")
            yield api
        finally:
            api.http.close()
            running.should_exit = True
            thread.join(30)
    assert not thread.is_alive()


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:  # noqa: ANN401
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {seconds:.0f} s not: {what}"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="module")
def api_database(postgres_server: str) -> Iterator[str]:
    """Return the URL of the module's database."""
    name = f"api_{next(_numbers)}"
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template swiftbolt")
    yield postgres_server.replace("/swiftbolt?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def module_api(api_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Serve the API for a module; tests take `api`."""
    with served(api_database, tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def api(module_api: Api) -> Api:
    """Return the served API, nothing in its database."""
    module_api.clear()
    return module_api


@pytest.fixture
def serve(api_database: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return what serves another API on the module's database, with settings of its own."""
    return lambda **environment: served(
        api_database, tmp_path_factory.mktemp("home"), **environment
    )


@pytest.fixture(name="token", scope="session")
def _token() -> Callable[..., str]:
    """Return what makes a person's token."""
    return token


@pytest.fixture(name="wait_for", scope="session")
def _wait_for() -> Callable[..., Any]:
    """Return the function that waits for a condition."""
    return wait_for


@pytest.fixture
def user(api: Api) -> UUID:
    """Return the id of a person who has a row."""
    return api.sql("insert into auth.users (id) values (gen_random_uuid()) returning id")[0][0]
