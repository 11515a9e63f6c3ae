"""The app's whole sequences against a real platform: search, watchlist, chart, polls, reload.

The tests of this module share one platform and run in their order.
"""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rehearsal.macos.app import App
from resources.postgres.embedded import server as embedded
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
PROJECT = Path(embedded.__file__).parents[3]
KEYS = {
    "SWIFTBOLT_ANON_KEY": "anon-key-of-the-platform-test",
    "SWIFTBOLT_SERVICE_KEY": "service-key-of-the-platform-test",
    "SWIFTBOLT_JWT_SECRET": "jwt-secret-of-the-platform-test-long-enough",
}


@dataclass
class Platform:
    """A platform that `swiftbolt up` started, and the provider behind it."""

    home: Path
    market: SimulatorThread
    offset: int
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=15))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{8000 + self.offset}"

    def start(self, wait_for: Callable[..., Any]) -> None:
        command = (sys.executable, "-m", "swiftbolt_assets.cli.main")
        with self.log.open("ab") as log:
            for arguments in (("jobs", "set", "AAPL", "--disabled"),):
                subprocess.run(
                    [*command, *arguments],
                    env=self.environment, cwd=PROJECT, stdout=log, stderr=log, check=True,
                    timeout=120,
                )  # fmt: skip
            self.process = subprocess.Popen(
                [*command, "up", "--port-offset", str(self.offset)],
                env=self.environment, cwd=PROJECT, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self.is_well, "the platform is well", 120)

    def is_well(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.http.get(f"{self.url}/health").json()["status"] == "ok")
        except httpx.HTTPError:
            return False

    def asked(self, provider: str) -> list[str]:
        """Return the paths that a provider was asked for."""
        log = self.http.get(f"{self.market.polygon_url}/simulator/requests").json()
        return [one["path"] for one in log if one["provider"] == provider]

    def operate(self, action: str) -> Any:
        reply = self.http.post(
            f"{self.url}/functions/v1/orchestrator?action={action}",
            headers={"Authorization": f"Bearer {KEYS['SWIFTBOLT_SERVICE_KEY']}"},
        )
        assert reply.status_code == 200
        return reply.json()

    def stop(self) -> None:
        self.http.close()
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self.market.stop()
        embedded.erase(self.home)


def free_offset() -> int:
    """Return an offset that leaves all of the platform's ports free at this moment.

    Below those that the system gives to outgoing connections: one of these could take a port
    before the platform does.
    """
    for offset in range(10_000 + os.getpid() % 500 * 20, 23_000, 7):
        try:
            for port in (3000, 8000, 8900):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return offset
    pytest.fail("no free ports")


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory,
    surroundings: dict[str, str],
    wait_for: Callable[..., Any],
) -> Iterator[Platform]:
    """Start a platform whose provider takes its time, so that polls see it come."""
    folder = tmp_path_factory.mktemp("client")
    market = SimulatorThread(
        SimulatorConfig(now=lambda: NOW, tradier_allowed=0, latency_seconds=0.4)
    ).start()
    environment = surroundings | {
        "SWIFTBOLT_HOME": str(folder / "home"),
        "SWIFTBOLT_NOW": NOW.isoformat(),
        "SWIFTBOLT_BACKGROUND": "false",
        "POLYGON_REQUESTS_PER_MINUTE": "0",
        "POLYGON_BASE_URL": market.polygon_url,
        "TRADIER_BASE_URL": market.polygon_url,
        **KEYS,
    }
    running = Platform(
        folder / "home", market, free_offset(), surroundings | environment, folder / "log"
    )
    try:
        running.start(wait_for)
        yield running
    finally:
        running.stop()


@dataclass
class Look:
    """What the client shows at one poll."""

    ensured: dict[str, Any]
    bars: int

    @property
    def progress(self) -> dict[str, int]:
        found: dict[str, int] = self.ensured["backfill_progress"]
        return found


@pytest.fixture(scope="module")
def client(platform: Platform, new_client: Callable[..., Any]) -> Any:
    return new_client(platform.url, KEYS["SWIFTBOLT_ANON_KEY"], platform.http)


@pytest.fixture(scope="module")
def app_of(platform: Platform) -> Callable[[str], App]:
    """Return what makes the app of a state a client of the platform."""
    return lambda state: App(state, platform.url, KEYS["SWIFTBOLT_ANON_KEY"], platform.http)


@pytest.fixture(scope="module")
def looks(client: Any) -> list[Look]:
    """Play the sequence: a poll every third of a second in the place of one every 15 s."""
    (offered,) = client.search("spy")
    assert (offered["ticker"], offered["known"]) == ("SPY", False)
    client.sync("SPY", source="recent_search")
    added = client.watchlist("add", "SPY")
    assert [item["symbol"] for item in added["items"]] == ["SPY"]
    client.sync("SPY", source="watchlist")
    seen: list[Look] = []
    client.sync("SPY", source="chart_view")
    deadline = time.monotonic() + 120
    while not seen or seen[-1].progress["progress_percent"] < 100:
        ensured = client.ensure("SPY", "h1", 730)
        seen.append(Look(ensured, len(client.drawn("SPY", "h1"))))
        assert time.monotonic() < deadline, seen[-1].progress
        time.sleep(0.3)
    client.sync("SPY", source="chart_view")
    seen.append(Look(client.ensure("SPY", "h1", 730), len(client.drawn("SPY", "h1"))))
    return seen


def test_polls_see_the_chart_fill(looks: list[Look]) -> None:
    totals = {look.progress["total_slices"] for look in looks}
    assert totals == {10}
    for earlier, later in pairwise(looks):
        assert later.progress["progress_percent"] >= earlier.progress["progress_percent"]
        assert later.progress["bars_written"] >= earlier.progress["bars_written"]
        assert later.bars >= earlier.bars
        # What is drawn was stored before it was counted, or right after.
        assert earlier.progress["bars_written"] <= later.bars
    assert len({look.bars for look in looks}) >= 4
    # The client's forty polls reach the end.
    assert looks[0].ensured["status"] == "gaps_detected"


def test_the_sequence_ends_complete(looks: list[Look], platform: Platform, client: Any) -> None:
    done = looks[-1]
    assert done.ensured["status"] == "coverage_complete"
    assert done.progress["completed_slices"] == done.progress["total_slices"]
    asked = len(platform.asked("polygon"))
    bars = client.drawn("SPY", "h1")
    assert len(bars) == done.progress["bars_written"]
    # 502 sessions from 2024-11-20, six of them half days; the calendar's own count.
    assert 3_400 < len(bars) < 3_550
    for timeframe in ("m15", "h4", "d1", "w1"):
        assert client.ensure("SPY", timeframe, 365)["status"] == "coverage_complete"
        assert client.drawn("SPY", timeframe)
    client.sync("SPY", source="chart_view")
    assert len(platform.asked("polygon")) == asked


#: Each opened by a state of the app that nobody told of it.
OPENED = {
    ("S1", "d1"): "NVDA", ("S1", "m15"): "AMD", ("S1", "w1"): "NFLX",
    ("S2", "d1"): "INTC", ("S2", "h1"): "IBM", ("S2", "h4"): "KO",
}  # fmt: skip


def held(chart: dict[str, Any]) -> int:
    """Return how many bars of history and today a chart holds; S1 draws one layer of them."""
    return sum(chart["layers"][name]["count"] for name in ("historical", "intraday"))


@pytest.mark.parametrize(("state", "timeframe"), OPENED)
def test_a_new_symbol_opens_at_once_and_fills_to_two_years(
    app_of: Callable[[str], App], state: str, timeframe: str
) -> None:
    """The calls race as they do in the app; none of them may fail."""
    app, ticker = app_of(state), OPENED[state, timeframe]
    assert [one["ticker"] for one in app.call("searchSymbols", ticker.lower())] == [ticker]
    with ThreadPoolExecutor(8) as pool:
        seen = app.open(ticker, timeframe, pool)
    deadline = time.monotonic() + 120
    while not app.poll(ticker, timeframe, seen):
        assert time.monotonic() < deadline, seen.banners[-1]
        time.sleep(0.5)
    app.poll(ticker, timeframe, seen)
    percents = [banner["progress_percent"] for banner in seen.banners]
    counted = [banner["bars_written"] for banner in seen.banners]
    bars = [held(chart) for chart in seen.charts]
    assert percents == sorted(percents)
    assert counted == sorted(counted)
    assert bars == sorted(bars)
    # At each poll the bars are counted first, then read.
    polls = len(seen.banners) - (timeframe in {"m15", "h1", "h4"})
    assert all(one <= two for one, two in zip(counted[-polls:], bars[-polls:], strict=True))
    assert counted[-1] == bars[-1]
    two_years = {"w1": 100, "d1": 490, "h4": 980, "h1": 3_400, "m15": 12_700}
    assert bars[-1] > two_years[timeframe]
    assert app.drawn(seen.charts[-1])
    app.call("addSymbol", ticker)
    assert app.call("refreshWatchlist")["items"][-1]["avgLastPriceAll"] > 0
    quote = app.call("fetchQuotes", ticker)["quotes"][0]
    assert quote["week_52_low"] <= quote["last"] <= quote["week_52_high"]
    assert app.call("removeSymbol", ticker)["success"] is True


@pytest.mark.parametrize("state", ["S1", "S2", "HEAD"])
def test_the_sync_button_answers_and_the_chart_loads_again(
    looks: list[Look], app_of: Callable[[str], App], state: str
) -> None:
    assert looks
    app = app_of(state)
    began = time.monotonic()
    told = app.call("userRefresh", "SPY")
    assert time.monotonic() - began < 12
    assert (told["symbol"], told["success"]) == ("SPY", True)
    if state != "HEAD":
        chart = app.chart("SPY", "h1")
        layers = [chart["layers"][name]["data"] for name in ("historical", "intraday")]
        assert sum(map(len, layers)) > 3_400
        # The older of them draws one layer: today's, once it has bars.
        assert app.drawn(chart)


def test_the_first_screens_of_head_load(looks: list[Look], app_of: Callable[[str], App]) -> None:
    assert looks
    app = app_of("HEAD")
    app.sync("SPY", "chart_view")
    chart = app.call("fetchUnifiedChart", "SPY", timeframe="d1", days="1825")
    assert len(chart["bars"]) > 490
    page = app.call("fetchChartReadPage", "SPY")
    assert page["bars"]
    app.call("addSymbol", "SPY")
    assert app.call("reloadWatchlistData")["summary"]["total"] >= 1
    app.call("fetchMarketStatus")


def test_the_operator_sees_a_tick_and_the_queue(platform: Platform) -> None:
    ticked = platform.operate("tick")
    assert ticked["message"] == "Tick complete"
    assert ticked["results"]["errors"] == []
    state = platform.operate("status")
    assert (state["queued"], state["running"]) == (0, 0)
    assert {job["status"] for job in state["recent_jobs"]} == {"success"}
    assert platform.operate("retry_failed") == {"message": "Retried 0 failed jobs"}


def test_a_tick_counts_what_the_platform_takes_on_and_fetch_bars_answers(
    platform: Platform, client: Any
) -> None:
    client.ensure("TSLA", "m15", 30)
    state = platform.operate("status")
    jobs = [
        job
        for job in state["queued_jobs"] + state["running_jobs"] + state["recent_jobs"]
        if job["symbol"] == "TSLA"
    ]
    assert jobs
    body = {
        "job_run_id": jobs[0]["id"],
        "symbol": "TSLA",
        "timeframe": "m15",
        "from": jobs[0]["slice_from"],
        "to": jobs[0]["slice_to"],
    }
    reply = platform.http.post(
        f"{platform.url}/functions/v1/fetch-bars",
        json=body,
        headers={"Authorization": f"Bearer {KEYS['SWIFTBOLT_SERVICE_KEY']}"},
    )
    assert reply.status_code == 200, reply.text
    assert reply.json()["rows_written"] > 500
    assert reply.json()["provider"] == "polygon"


def test_no_key_is_in_any_file_of_the_home(platform: Platform, looks: list[Look]) -> None:
    """Failure mode 43; the file of made keys aside, there is none: all were given."""
    assert looks
    secrets = [key.encode() for key in KEYS.values()]
    searched = 0
    for path in (platform.log, *platform.home.rglob("*")):
        # The database's files hold what was stored; nobody reads them as a log.
        if not path.is_file() or "postgres" in path.relative_to(platform.log.parent).parts:
            continue
        searched += 1
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
    assert searched > 1
    assert json.dumps(platform.operate("status"))
