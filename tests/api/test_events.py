"""The stream of events: what a watcher hears, how soon, and what it costs."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import threading
import time
from contextlib import ExitStack
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Self

import pytest

from swiftbolt_assets.api.broadcast import Watcher, sse

if TYPE_CHECKING:
    from collections.abc import Callable

LISTENERS = (
    "select pid from pg_stat_activity where datname = current_database()"
    " and query = 'listen swiftbolt_news'"
)


class Stream:
    """One open stream, read in a thread; a context manager."""

    def __init__(self, api: Any, wait_for: Callable[..., Any], query: str) -> None:
        self.heard: list[tuple[str, Any, float]] = []
        self.comments = 0
        self._wait_for = wait_for
        self._connection = HTTPConnection(api.url.removeprefix("http://"), timeout=30)
        headers = {"Authorization": f"Bearer {api.keys.anon}"}
        self._connection.request("GET", f"/functions/v1/events?{query}", headers=headers)
        self._socket = self._connection.sock
        self._reply = self._connection.getresponse()
        assert self._reply.status == 200
        self.type = self._reply.headers["content-type"]
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        while line := self._next():
            if line.startswith(b"event: "):
                name = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                self.heard.append((name, json.loads(line[6:]), time.monotonic()))
            elif line.startswith(b":"):
                self.comments += 1

    def _next(self) -> bytes:
        """Return the next line, empty when either side has left."""
        try:
            return self._reply.readline()
        except (HTTPException, OSError, ValueError):
            return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.ends()
        self._reply.close()
        self._connection.close()

    def ends(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()

    def of(self, name: str) -> list[Any]:
        return [data for kind, data, _ in self.heard if kind == name]

    def wait(self, name: str, condition: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the data of the first such event."""
        return self._wait_for(
            lambda: next((one for one in self.of(name) if condition(one)), None), f"event {name}"
        )


@pytest.fixture
def watch(api: Any, wait_for: Callable[..., Any]) -> Callable[[str], Stream]:
    return lambda query: Stream(api, wait_for, query)


def ensure(api: Any, symbol: str = "AAPL", timeframe: str = "m15", days: int = 30) -> Any:
    body = {"symbol": symbol, "timeframe": timeframe, "window_days": days}
    return api.post("ensure-coverage", body).json


@pytest.mark.parametrize("timeframe", ["m15", "h1", "h4", "d1"])
def test_progress_comes_at_once_and_is_what_a_poll_answers(
    api: Any, watch: Callable[[str], Stream], timeframe: str
) -> None:
    polled = ensure(api, timeframe=timeframe)
    began = time.monotonic()
    with watch(f"symbol=aapl&timeframe={timeframe}") as stream:
        told = stream.wait("progress")
        assert time.monotonic() - began < 3
        assert stream.type.startswith("text/event-stream")
        assert stream.comments >= 1
    moving = {"eta_seconds": None}
    assert told | moving == polled | moving


def test_a_symbol_that_nobody_wants_yet_is_told_of_once_somebody_does(
    api: Any, watch: Callable[[str], Stream]
) -> None:
    with watch("symbol=TSLA&timeframe=h1") as stream:
        ensure(api, "TSLA", "h1")
        assert stream.wait("progress")["status"] == "gaps_detected"


def test_stored_bars_are_told_and_can_be_asked_for(
    api: Any, watch: Callable[[str], Stream]
) -> None:
    ensure(api)
    with watch("symbol=AAPL&timeframe=m15") as stream, watch("symbol=TSLA") as other:
        stream.wait("progress")
        days = api.days(10)
        api.fill("AAPL", days)
        told = stream.wait("bars")
        assert (told["symbol"], told["timeframe"]) == ("AAPL", "m15")
        body = {"symbol": "AAPL", "timeframe": "m15", "start": told["from"], "end": told["to"]}
        chart = api.post("chart-data-v2", body).json
        assert chart["metadata"]["total_bars"] == 26 * len(days)
        assert told["from"].endswith("Z")
        assert datetime.fromisoformat(told["from"]).date() == days[0]
        stream.wait("progress", lambda one: one["backfill_progress"]["bars_written"] > 0)
        assert other.heard == []


def test_the_stream_tells_the_end(api: Any, watch: Callable[[str], Stream]) -> None:
    ensure(api)
    with watch("symbol=AAPL") as stream:
        api.queue.claim(least_priority=0)
        api.queue.begin("AAPL", api.days(30)[0], api.days(30)[-1])
        stream.wait("progress", lambda one: one["backfill_progress"]["running_slices"] == 1)
        api.fill("AAPL", api.days(30))
        done = stream.wait("progress", lambda one: one["status"] == "coverage_complete")
        assert done["backfill_progress"]["progress_percent"] == 100
        percents = [one["backfill_progress"]["progress_percent"] for one in stream.of("progress")]
        assert percents == sorted(percents)


def test_a_lost_listener_is_replaced_and_watchers_are_told_to_reload(
    api: Any, watch: Callable[[str], Stream], wait_for: Callable[..., Any]
) -> None:
    ensure(api)
    with watch("symbol=AAPL") as stream:
        stream.wait("progress")
        (pid,) = wait_for(lambda: api.sql(LISTENERS), "it listens")[0]
        api.sql("select pg_terminate_backend(%s)", pid)
        assert stream.wait("resync")
        api.fill("AAPL", api.days(5))
        stream.wait("bars")
    assert api.sql(LISTENERS)[0] != (pid,)


def test_many_watchers_of_a_symbol_cost_one_look(
    api: Any, watch: Callable[[str], Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(api)
    newsroom = api.app.state.api.newsroom
    looks: list[str] = []
    look = newsroom._progress
    monkeypatch.setattr(
        newsroom, "_progress", lambda topic: looks.append(topic.symbol) or look(topic)
    )
    with ExitStack() as opened:
        streams = [opened.enter_context(watch("symbol=AAPL")) for _ in range(25)]
        for stream in streams:
            stream.wait("progress")
        before = len(looks)
        api.fill("AAPL", api.days(5))
        for stream in streams:
            stream.wait("bars")
            stream.wait("progress", lambda one: one["backfill_progress"]["bars_written"] > 0)
        assert len(looks) - before <= 3


def test_what_leaves_is_forgotten(
    api: Any, watch: Callable[[str], Stream], wait_for: Callable[..., Any]
) -> None:
    newsroom = api.app.state.api.newsroom
    with watch("symbol=AAPL"), watch("symbol=AAPL"), watch("symbol=TSLA"):
        wait_for(lambda: newsroom.watchers == 3, "three watch")
    wait_for(lambda: newsroom.watchers == 0, "nobody watches")
    assert newsroom._topics == {}


def test_too_many_streams_are_refused_with_a_time_to_come_back(
    api: Any, watch: Callable[[str], Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swiftbolt_assets.api.broadcast._MOST_WATCHERS", 2)
    with watch("symbol=AAPL"), watch("symbol=TSLA"):
        reply = api.get("events?symbol=AAPL")
        assert reply.status == 503
        assert int(reply.headers["retry-after"]) > 0
        assert "too many streams" in reply.error


async def told(watcher: Watcher) -> list[bytes | None]:
    return [watcher.unread.get_nowait() for _ in range(watcher.unread.qsize())]


def test_who_reads_too_slowly_is_told_to_reload_instead_of_being_remembered() -> None:
    import asyncio

    async def slow() -> list[bytes | None]:
        watcher = Watcher()
        for number in range(201):
            watcher.tell(sse("progress", {"number": number}))
        return await told(watcher)

    (left,) = asyncio.run(slow())
    assert left == sse("resync", {"reason": "too slow"})


def test_a_server_that_stops_ends_its_streams(
    serve: Callable[..., Any], wait_for: Callable[..., Any]
) -> None:
    with serve() as another:
        stream = Stream(another, wait_for, "symbol=AAPL")
        began = time.monotonic()
    assert time.monotonic() - began < 8
    stream.ends()
    with stream:
        assert stream.of("progress") == []


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "Symbol is required"),
        ("?symbol=a%20b", "symbol"),
        ("?symbol=A&timeframe=x", "timeframe"),
    ],
)
def test_a_wrong_stream_is_refused(api: Any, query: str, error: str) -> None:
    reply = api.get(f"events{query}")
    assert reply.status == 400
    assert error in reply.error


def test_an_event_follows_its_commit_within_a_second(
    api: Any, watch: Callable[[str], Stream]
) -> None:
    """From the commit to the watcher's socket."""
    ensure(api, days=60)
    waits = []
    with watch("symbol=AAPL") as stream:
        stream.wait("progress")
        for number, day in enumerate(api.days(60)[-12:], 1):
            api.fill("AAPL", [day])
            committed = time.monotonic()
            stream._wait_for(lambda want=number: len(stream.of("bars")) >= want, "bars")
            at = [when for kind, _, when in stream.heard if kind == "bars"][-1]
            waits.append(max(0.0, at - committed))
    assert statistics.median(waits) < 1.0
