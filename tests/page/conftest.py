"""A platform as a real process, and a real browser that looks at its chart page."""

# ruff: noqa: ANN401 - the browser's types are a library's, answers are JSON

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: During a session, so that there are bars of today, one of them forming.
NOW = "2026-11-20T14:31:00-05:00"
PROJECT = Path(embedded.__file__).parents[3]
COMMAND = (sys.executable, "-m", "swiftbolt_assets.cli.main")
PORTS = (3000, 8000, 8900)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {seconds:.0f} s not: {what}"
        time.sleep(0.05)
    return value


class Server:
    """`swiftbolt up`, or `swiftbolt serve` beside it, on ports of its own."""

    def __init__(self, surroundings: dict[str, str], home: Path, command: str) -> None:
        self.home, self._command, self._offset = home, command, _free_offset()
        self.url = f"http://127.0.0.1:{8000 + self._offset}"
        self._environment = surroundings | {
            "SWIFTBOLT_HOME": str(home),
            "SWIFTBOLT_NOW": NOW,
            "SWIFTBOLT_BACKGROUND": "false",
            "POLYGON_REQUESTS_PER_MINUTE": "0",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        process = subprocess.Popen(
            (*COMMAND, self._command, "--port-offset", str(self._offset)),
            cwd=PROJECT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._process = process
        wait_for(lambda: process.poll() is not None or self._answers(), "it answers", 120)
        assert process.poll() is None

    def stop(self) -> None:
        """End it as the system does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def sql(self, statement: str) -> Any:
        """Return the first value of a statement."""
        url = embedded.locate(self.home).url("swiftbolt")
        with psycopg.connect(url) as connection:
            row = connection.execute(statement).fetchone()
            return row and row[0]

    def write(self, statements: str) -> None:
        """Run statements as the database's owner."""
        with psycopg.connect(embedded.locate(self.home).url("swiftbolt")) as connection:
            connection.execute(statements)

    def stored(self, symbol: str, timeframe: str) -> int:
        """Return how many bars are stored."""
        return int(
            self.sql(
                "select count(*) from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id"
                f" where ticker = '{symbol}' and timeframe = '{timeframe}'"
            )
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/chart", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


class Look:
    """A page in the browser, and whatever it complained of."""

    def __init__(self, context: Any, url: str) -> None:
        self.page, self._url = context.new_page(), url
        self.complaints: list[str] = []
        self.origins: set[str] = set()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._note)

    def open(self, address: str = "") -> None:
        """Go to `/chart`, with a part after `#`."""
        self.page.goto(f"{self._url}/chart{address}")

    def bars(self) -> int:
        """Return how many bars the chart shows."""
        return int(self.page.get_attribute("#chart", "data-bars") or 0)

    def text(self, selector: str) -> str:
        """Return an element's text, in one line."""
        return " ".join(str(self.page.inner_text(selector)).split())

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """Wait for a condition while the page goes on."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"in {seconds:.0f} s not: {what}"
            self.page.wait_for_timeout(50)
        return value

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _note(self, request: Any) -> None:
        scheme, _, rest = request.url.partition("://")
        self.origins.add(f"{scheme}://{rest.partition('/')[0]}")


@pytest.fixture(scope="module")
def platform(home_folder: Path, surroundings: dict[str, str]) -> Iterator[Server]:
    """Run one platform for the module."""
    running = Server(surroundings, home_folder / "page", "up")
    try:
        running.start()
        yield running
    finally:
        running.stop()
        embedded.erase(running.home)


@pytest.fixture
def server(platform: Server, surroundings: dict[str, str]) -> Iterator[Server]:
    """Run the HTTP API once more, to stop it."""
    running = Server(surroundings, platform.home, "serve")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def new_look(browser: Any, platform: Server) -> Iterator[Callable[..., Look]]:
    """Open pages, each with a storage of its own."""
    contexts = []

    def make(url: str = platform.url, **options: Any) -> Look:
        contexts.append(
            browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
        )
        return Look(contexts[-1], url)

    yield make
    for context in contexts:
        context.close()


def _free_offset() -> int:
    """Return an offset that leaves all of the platform's ports free at this moment."""
    first = 100 + os.getpid() % 500 * 40
    for offset in range(first, first + 20_000, 7):
        try:
            for port in PORTS:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return offset
    pytest.fail("no free ports")
