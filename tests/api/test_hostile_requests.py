"""Whatever is sent, the server answers in one line of JSON and lives on: never a 5xx."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swiftbolt_assets.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POSTS = (
    "ensure-coverage", "sync-user-symbols", "watchlist-sync", "chart-data-v2", "orchestrator",
    "fetch-bars", "chart", "user-refresh", "reload-watchlist-data",
)  # fmt: skip
GETS = (
    "coverage", "chart", "symbols-search", "quotes", "events", "orchestrator",
    "market-status",
)  # fmt: skip
MOST = 64 * 1024
BODIES = {
    "nothing": b"",
    "no json": b"{",
    "html": b"<html></html>",
    "an array": b"[]",
    "a number": b"5",
    "a text": b'"AAPL"',
    "nul": b'{"symbol": "A\\u0000B", "timeframe": "m15\\u0000"}',
    "a raw nul": b'{"symbol": "A\x00B"}',
    "half a character": b'{"symbol": "\\ud800", "timeframe": "\\udfff", "source": "\\ud800"}',
    "half characters in lists": b'{"symbols": ["\\ud800"], "source": "watchlist"}',
    "a name that is half a character": b'{"\\ud800": 1, "symbol": "AAPL"}',
    "no utf-8": b'{"symbol": "\xff\xfe"}',
    "a byte order mark": b'\xef\xbb\xbf{"symbol": "AAPL"}',
    "utf-16": '{"symbol": "AAPL"}'.encode("utf-16"),
    "huge integers": b'{"symbol": "AAPL", "timeframe": "m15", "window_days": '
    + b"9" * 5_000
    + b"}",
    "a large integer": b'{"symbol": "AAPL", "timeframe": "m15", "days": 99999999999999999999,'
    b' "window_days": 9223372036854775808, "priority": -9223372036854775809}',
    "a number without end": b'{"symbol": "AAPL", "timeframe": "m15", "window_days": 1e999}',
    "no numbers": b'{"symbol": "AAPL", "timeframe": "m15", "window_days": NaN, "days": Infinity}',
    "a fraction": b'{"symbol": "AAPL", "timeframe": "m15", "window_days": 1.5, "days": 0.1}',
    "deep": b"[" * 30_000 + b"]" * 30_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "keys twice": b'{"symbol": "AAPL", "symbol": 5, "timeframe": "m15", "timeframe": []}',
    "wrong types": b'{"symbol": {}, "timeframe": [], "symbols": {"a": 1}, "source": [],'
    b' "action": {}, "window_days": "x", "job_run_id": 5, "from": {}, "to": []}',
    "nulls": b'{"symbol": null, "timeframe": null, "symbols": null, "source": null,'
    b' "action": null, "window_days": null, "days": null, "timeframes": null}',
    "unknown fields": b'{"symbol": "AAPL", "timeframe": "m15", "user_id": "x", "role": "postgres"}',
    "sql": b'{"symbol": "AAPL\'; drop table symbols; --", "timeframe": "m15\'", "action": "\'"}',
    "a format": b'{"symbol": "%s%n{0}", "timeframe": "%(x)s", "action": "%s"}',
    "ten thousand symbols": json.dumps(
        {"symbols": [f"A{number:04}" for number in range(10_000)], "source": "watchlist"}
    ).encode(),
    "long texts": json.dumps({"symbol": "A" * 60_000, "timeframe": "m15"}).encode(),
    "ends of time": b'{"symbol": "AAPL", "timeframe": "w1", "start": "0001-01-01T00:00:00Z",'
    b' "end": "9999-12-31T23:59:59Z", "days": 36500, "forecastDays": 366}',
    "instants as numbers": b'{"symbol": "AAPL", "start": -1e300, "end": 1e300}',
    "more instants as numbers": b'{"symbol": "AAPL", "start": 0, "end": 253402300799}',
}
TYPES = (
    "application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
    "application/json; charset=utf-16", "", "a/b/c", "image/png",
)  # fmt: skip


@pytest.fixture
def alive(api: Any) -> Iterator[None]:
    """See that the server answers after all, and has lost nothing."""
    yield
    assert api.get("/health", key=None).status == 200
    assert api.sql("select count(*) from symbols where ticker !~ '^[A-Z]'") == [(0,)]


def judged(reply: Any) -> None:
    assert reply.status < 500, reply.body
    if reply.status >= 400:
        assert reply.error
        assert len(reply.body) < 1_000


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("name", POSTS)
def test_no_body_fails_the_server(api: Any, name: str) -> None:
    for what, body in BODIES.items():
        # Starlette tells a body of no type and one of the right type apart.
        for kind in ("application/json", "text/plain"):
            headers = {"Content-Type": kind}
            reply = api.call("POST", name, key=api.keys.service, content=body, headers=headers)
            assert reply.status < 500, what
            judged(reply)


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("kind", TYPES)
def test_no_type_of_content_fails_the_server(api: Any, kind: str) -> None:
    body = b'{"symbol": "AAPL", "timeframe": "m15"}'
    headers = {"Content-Type": kind}
    reply = api.call("POST", "ensure-coverage", content=body, headers=headers)
    judged(reply)
    # None at all is refused, too: a form of another site could send it.
    assert (reply.status == 200) == (kind in {TYPES[0], TYPES[4]})


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize("name", GETS)
def test_no_query_fails_the_server(api: Any, name: str) -> None:
    wrong = ("%00", "%ff", "%ED%A0%80", "'", "a b", "A" * 5_000, "%25s", "NaN", "-1", "1e9", "{}")
    fields = ("symbol", "symbols", "q", "timeframe", "days", "action")
    for value in wrong:
        for field in fields:
            # A well-formed ticker opens a stream that has no end.
            if name == "events" and (field != "symbol" or value == "NaN"):
                continue
            judged(api.get(f"{name}?{field}={value}", key=api.keys.service))
        if name != "events":
            judged(api.get(f"{name}?symbol=AAPL&symbol=TSLA&timeframe=m15&days={value}"))


_texts = st.text(max_size=20) | st.sampled_from(
    ["AAPL", "m15", "d1", "watchlist", "add", "list", "status", "2026-11-20T00:00:00Z", "BRK.B"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_FIELDS = (
    "symbol", "symbols", "source", "timeframe", "timeframes", "window_days", "priority", "days",
    "start", "end", "from", "to", "action", "watchlistId", "job_run_id", "includeForecast",
    "forecastDays", "adjusted",
)  # fmt: skip
_requests = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(_FIELDS, _values),
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(POSTS[:4]), body=_requests)
def test_any_json_is_answered(module_api: Any, name: str, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    judged(module_api.call("POST", name, content=content, headers=headers))


class Wire:
    """A bare connection to the server."""

    def __init__(self, api: Any) -> None:
        parts = urlsplit(api.url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=20)

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def status(self) -> int:
        """Return the status of the reply that comes."""
        with self.socket.makefile("rb") as stream:
            return int(stream.readline().split()[1])

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def wire(api: Any) -> Iterator[Wire]:
    made = Wire(api)
    yield made
    made.close()


def head(api: Any, *lines: str, host: str | None = None, path: str = "ensure-coverage") -> bytes:
    named = urlsplit(api.url).netloc if host is None else host
    first = (f"POST /functions/v1/{path} HTTP/1.1", f"Host: {named}")
    shown = (f"Authorization: Bearer {api.keys.anon}", "Content-Type: application/json")
    return "\r\n".join((*first, *shown, *lines, "", "")).encode()


@pytest.mark.usefixtures("alive")
def test_a_large_body_is_refused_before_it_is_read(api: Any, wire: Wire) -> None:
    wire.send(head(api, "Content-Length: 10485760"), b"{")
    assert wire.status() == 413


@pytest.mark.usefixtures("alive")
def test_a_large_body_in_pieces_is_refused_once_it_is_too_large(api: Any, wire: Wire) -> None:
    piece = b"1000\r\n" + b" " * 4096 + b"\r\n"
    wire.send(head(api, "Transfer-Encoding: chunked"), *[piece] * 17)
    assert wire.status() == 413


@pytest.mark.usefixtures("alive")
def test_a_client_that_sends_ten_megabytes_first_gets_no_5xx(api: Any, wire: Wire) -> None:
    try:
        wire.send(head(api, "Content-Length: 10485760"), *[b" " * 65_536] * 160)
        status = wire.status()
    except OSError:
        status = 413  # it hung up, which is as good
    assert status == 413


def test_the_limit_is_64_kilobytes(api: Any) -> None:
    def sent(size: int) -> Any:
        body = b'{"symbol": "AAPL", "timeframe": "m15"}'
        headers = {"Content-Type": "application/json"}
        return api.call("POST", "ensure-coverage", content=body.ljust(size), headers=headers)

    assert sent(MOST).status == 200
    assert sent(MOST + 1).status == 413
    assert sent(MOST + 1).error == "body: it exceeds 65536 bytes"


@pytest.mark.usefixtures("alive")
def test_a_body_that_does_not_come_is_not_waited_for(
    api: Any, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swiftbolt_assets.api.protection._BODY_S", 0.3)
    wire.send(head(api, "Content-Length: 100"), b'{"symbol":')
    assert wire.status() == 408


@pytest.mark.usefixtures("alive")
def test_a_caller_that_leaves_in_the_middle_changes_nothing(
    api: Any, wire: Wire, wait_for: Callable[..., Any]
) -> None:
    wire.send(head(api, "Content-Length: 1000"), b'{"symbol": "LEFT", "timeframe": "m15"}')
    wire.close()
    api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15"})
    wait_for(lambda: api.sql("select ticker from symbols"), "the other call is stored")
    assert api.sql("select ticker from symbols") == [("AAPL",)]


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(wire: Wire, raw: bytes) -> None:
    wire.send(raw)
    try:
        assert 400 <= wire.status() < 500
    except (OSError, IndexError):
        return  # it hung up


def test_a_long_header_is_no_fault_of_form(wire: Wire) -> None:
    """The root sends whoever asks to the chart."""
    wire.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n")
    assert wire.status() == 307


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 400),
        ("evil.example:8000", 400),
        ("127.0.0.1.evil.example", 400),
        ("", 400),
        ("0.0.0.0", 400),  # noqa: S104 - a name that is refused
        ("[::2]", 400),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
    ],
)
def test_on_loopback_a_web_page_cannot_rebind_its_name_to_this_server(
    api: Any, wire: Wire, host: str, status: int
) -> None:
    body = b'{"symbol": "AAPL", "timeframe": "m15"}'
    wire.send(head(api, f"Content-Length: {len(body)}", host=host), body)
    assert wire.status() == status


@pytest.mark.usefixtures("alive")
def test_a_database_that_is_busy_is_a_503_with_a_time_to_come_back(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.postgres.callers._STATEMENT_S", 0.3)
    with psycopg.connect(api.database.url) as other:
        other.execute("lock table job_definitions in access exclusive mode")
        began = time.monotonic()
        reply = api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15"})
        assert time.monotonic() - began < 5
        other.rollback()
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0
    assert reply.error.startswith("database: ")
    assert api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15"}).status == 200


@pytest.mark.usefixtures("alive")
def test_connections_that_the_database_dropped_are_made_anew(api: Any) -> None:
    for _ in range(2):
        api.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15"}).status == 200


@pytest.mark.usefixtures("alive")
def test_a_connection_lost_in_the_middle_of_a_look_is_not_the_databases_end(api: Any) -> None:
    waits = (
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock' and query like '%insert into heartbeats%'"
    )
    with ThreadPoolExecutor(1) as looker:
        with api.connect() as holder, holder.transaction():
            holder.execute("lock table heartbeats in exclusive mode")
            seen = looker.submit(api.health)
            assert until(lambda: api.sql(waits), within_s=1, every_s=0.01)
        assert seen.result().json["parts"]["database"]["status"] == "ok"
