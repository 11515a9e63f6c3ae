"""A platform in a home of its own, as a real process, and its database looked at from outside."""

# ruff: noqa: ANN401 - answers are JSON; the fixtures' types live in ../conftest.py

from __future__ import annotations

import json
import signal
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Up:
    """A home with a running platform."""

    def __init__(self, shell: Any, wait_for: Callable[..., Any], offset: str) -> None:
        self.shell, self._wait_for, self.offset = shell, wait_for, offset
        self.process = self.start()

    def start(self) -> Any:
        self.process = self.shell.start("up", "--port-offset", self.offset)
        self._wait_for(lambda: self.process.poll() is not None or self.is_up(), "up runs", 120)
        assert self.process.poll() is None, self.process.communicate()
        return self.process

    @property
    def note(self) -> dict[str, Any]:
        try:
            text = (self.shell.home / "platform.json").read_text()
        except FileNotFoundError:
            return {"pid": None, "parts": {}}
        note: dict[str, Any] = json.loads(text)
        return note

    def is_up(self) -> bool:
        return self.note["pid"] == self.process.pid and self.answers()

    def answers(self) -> bool:
        query = "{repositoriesOrError{... on RepositoryConnection{nodes{name}}}}"
        try:
            return bool(self.ask(query)["repositoriesOrError"]["nodes"])
        except (OSError, KeyError):
            return False

    def ask(self, query: str, **variables: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{3000 + int(self.offset)}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)["data"]

    def wait_for_bars(self, symbol: str) -> None:
        query = (
            "select count(*) from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id"
            f" where ticker = '{symbol}'"
        )

        def stored() -> bool:
            try:
                return bool(self.shell.sql(query)[0][0])
            except psycopg.Error:
                return False  # it starts just now

        self._wait_for(stored, f"first bars of {symbol}", 60)

    def kill(self) -> None:
        """Kill the supervisor as `kill -9` does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)

    @property
    def runs(self) -> list[psutil.Process]:
        """Return the processes of runs: what the servers below the code location have forked."""
        try:
            servers = psutil.Process(self.note["parts"]["code-location"]).children()
            return [run for server in servers for run in server.children()]
        except psutil.NoSuchProcess:
            return []

    def connect(self) -> psycopg.Connection[Any]:
        """Return a connection on the platform's market clock, as its API has."""
        now = datetime.fromisoformat(self.shell.environment["SWIFTBOLT_NOW"])
        offset = (now - datetime.now(UTC)).total_seconds()
        options = f"-c swiftbolt.clock_offset={offset:.3f}"
        return psycopg.connect(self.shell.database_url, autocommit=True, options=options)

    def track(self, symbol: str, source: str = "watchlist") -> None:
        """Record interest by plain SQL, as any client of the database may."""
        with self.connect() as connection:
            connection.execute(
                "insert into symbols (ticker) values (%s) on conflict do nothing", (symbol,)
            )
            connection.execute(
                "insert into user_symbol_tracking (user_id, symbol_id, source)"
                " select '00000000-0000-0000-0000-000000000000', id, %s from symbols"
                " where ticker = %s"
                " on conflict (user_id, symbol_id, source) do update set updated_at = now()",
                (source, symbol),
            )

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return a statement's rows, none while the database starts again."""
        try:
            with self.connect() as connection:
                return connection.execute(statement).fetchall()
        except psycopg.Error:
            return []

    def progress(self, symbol: str) -> dict[str, tuple[Any, ...]]:
        """Return each timeframe's (total, completed, percent, complete)."""
        rows = self.rows(
            "select timeframe::text, p.total_slices, p.completed_slices, p.progress_percent,"
            " p.complete from job_definitions d cross join get_job_progress(d.id) p"
            f" where d.symbol = '{symbol}' and d.enabled"
        )
        return {row[0]: row[1:] for row in rows}

    def differences(
        self, market: Any, symbol: str, first: str, last: str, *, stored_from: str = "-infinity"
    ) -> list[str]:
        """Return the timeframes whose stored bars are not the market's of these days.

        Today's are left out, and what was stored of times before `stored_from`.
        """
        found = []
        for timeframe in ("m15", "h1", "h4"):
            stored = self.rows(
                "select ts, open, high, low, close from ohlc_bars_v2 b"
                f" join symbols s on s.id = b.symbol_id where ticker = '{symbol}'"
                f" and timeframe = '{timeframe}' and ts >= '{stored_from}' and ts < '2026-11-20'"
                " order by ts"
            )
            names = ("ts", "open", "high", "low", "close")
            told = [(f"{row[0]:%Y-%m-%dT%H:%M:%SZ}", *row[1:]) for row in stored]
            truth = market.truth(symbol, timeframe, first, last)
            if told != [tuple(bar[name] for name in names) for bar in truth]:
                found.append(timeframe)
        return found

    def is_complete(self, symbol: str) -> bool:
        """Return whether all timeframes are complete and no slice is open."""
        found = self.progress(symbol)
        return bool(found) and all(of[0] == of[1] and of[3] for of in found.values())


@pytest.fixture(scope="module")
def new_up(
    new_settled: Callable[..., Any], wait_for: Callable[..., Any], module_port_offset: str
) -> Iterator[Callable[..., Up]]:
    """Start platforms; the seeded symbols are quiet, as tests count requests, unless `seeds`."""
    shells = []

    def start(*, seeds: bool = False, **environment: str) -> Up:
        shell = new_settled(**({"SWIFTBOLT_BACKGROUND": "false"} | environment))
        shells.append(shell)
        if not seeds:
            assert shell.run("jobs", "set", "AAPL", "--disabled").code == 0
        return Up(shell, wait_for, module_port_offset)

    yield start
    for shell in shells:
        shell.close()
