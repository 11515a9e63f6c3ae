"""A command does not wait for a provider that refuses; what it asked for stays in the queue."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow


@pytest.fixture
def refusing() -> Iterator[Callable[..., dict[str, str]]]:
    """Start servers that answer every request alike; the environment that leads to them."""
    running: list[ThreadingHTTPServer] = []

    def start(status: int, body: dict[str, str], **headers: str) -> dict[str, str]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=running[-1].serve_forever, args=(0.05,)).start()
        url = f"http://127.0.0.1:{running[-1].server_address[1]}"
        return {"POLYGON_API_KEY": "sekret-Key_0123456789", "POLYGON_BASE_URL": url}

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


def test_a_typo_ends_in_seconds_with_the_providers_words_and_stays_to_be_asked_again(
    new_settled: Callable[..., Any], refusing: Callable[..., dict[str, str]]
) -> None:
    environment = refusing(400, {"status": "ERROR", "error": "no such ticker: TYPPO"})
    shell = new_settled()
    with embedded.lease(shell.home):
        began = time.monotonic()
        done = shell.run("backfill", "TYPPO", "--days", "20", **environment)
        assert time.monotonic() - began < 60
        assert done.code == 1
        assert "no such ticker: TYPPO" in done.err
        assert shell.sql(
            "select status, error_code, error_message, triggered_by, next_attempt_at is not null"
            " from job_runs where symbol = 'TYPPO'"
        ) == [
            (
                "queued",
                "INVALID_SYMBOL",
                "polygon: HTTP 400: no such ticker: TYPPO",
                "user",
                True,
            )
        ]
        assert shell.sql("select count(*) from provider_requests") == [(1,)]
        assert (
            "INVALID_SYMBOL: polygon: HTTP 400: no such" in shell.run("status", **environment).out
        )
        again = shell.run("backfill", "TYPPO", "--days", "20", **environment)
        assert again.code == 1
        assert shell.sql("select count(*) from job_runs where symbol = 'TYPPO'") == [(1,)]
        # Another one is answered meanwhile, by the words of the log.
        shell.sql(
            "insert into provider_requests (provider, endpoint, symbol, sent_at, seconds, status,"
            " outcome, bars, base_minutes) values ('polygon', '/v2/aggs/x', 'AAPL',"
            " clock_timestamp(), 0, 200, 'ok', 1, 1) returning 1"
        )
        doctor = shell.run("doctor", **environment)
        assert doctor.code == 1
        (line,) = (line for line in doctor.out.splitlines() if line.split()[1] == "answers")
        assert line.startswith("BAD")
        assert "TYPPO gets nothing while others do: polygon: HTTP 400" in line
        report = shell.run("status", "--json", **environment).json
        assert [trouble["symbol"] for trouble in report["troubles"]] == ["TYPPO"]


def test_a_command_says_for_how_long_the_budget_is_closed_instead_of_waiting(
    new_settled: Callable[..., Any], refusing: Callable[..., dict[str, str]]
) -> None:
    environment = refusing(429, {"status": "ERROR", "error": "too many"}, Retry_After="7200")
    shell = new_settled(POLYGON_REQUESTS_PER_MINUTE="5")
    with embedded.lease(shell.home):
        done = shell.run("backfill", "AAPL", "MSFT", "--days", "5", **environment)
        assert done.code == 1
        assert "AAPL: polygon: HTTP 429: too many; not asked again for 2.0 h" in done.err
        assert "1 more symbol was not asked for" in done.err
        again = shell.run("backfill", "MSFT", "--days", "5", **environment)
        assert again.code == 1
        assert "polygon: it asked to be left alone; not asked for " in again.err
        assert shell.sql("select count(*) from provider_requests") == [(1,)]
        assert (
            "polygon   asked to be left alone; not asked for "
            in shell.run("status", **environment).out
        )


def test_typos_stop_no_other_symbol_of_a_command(new_settled: Callable[..., Any]) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            symbol = self.path.split("/")[4] if self.path.startswith("/v2/aggs/") else ""
            asked.append(symbol)
            known = symbol in {"AAPL", "MSFT"}
            body = {"status": "OK", "ticker": symbol, "adjusted": False, "resultsCount": 0}
            raw = json.dumps(body if known else {"status": "NOT_FOUND", "error": "no ticker"})
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw.encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    shell = new_settled()
    try:
        with embedded.lease(shell.home):
            done = shell.run(
                "backfill", "TYPA", "TYPB", "TYPC", "TYPD", "AAPL", "TYPE", "MSFT", "--days", "5",
                POLYGON_API_KEY="sekret-Key_0123456789",
                POLYGON_BASE_URL=f"http://127.0.0.1:{server.server_address[1]}",
            )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
    assert done.code == 1
    assert "not asked for" not in done.err
    assert {symbol for symbol in asked if symbol} >= {"TYPD", "AAPL", "TYPE", "MSFT"}
