"""No window holds a sixth request: several processes, real HTTP, and `kill -9`.

Limits are scaled from 5 in 60 s to 5 in 3 s. What counts is when requests arrive at the server.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

LIMIT, WINDOW_S = 5, 3.0
_ROOT = Path(__file__).parents[2]
_WORKER = Path(__file__).with_name("budget_worker.py")


class Arrivals:
    """A loopback server that notes when requests arrive; every third one fails."""

    def __init__(self) -> None:
        self.at: list[float] = []
        lock = threading.Lock()
        numbers = itertools.count(1)
        arrivals = self.at

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with lock:
                    arrivals.append(time.monotonic())
                    number = next(numbers)
                # Replies take unequal times, so that arrivals and ends interleave.
                time.sleep((number * 37 % 100) / 1000)
                self.send_response(500 if number % 3 == 0 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def wait(self, count: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while len(self.at) < count:
            assert time.monotonic() < end, f"only {len(self.at)} of {count} requests arrived"
            time.sleep(0.02)

    def shortest_span(self) -> float:
        """Return the shortest time in which a sixth request followed a first."""
        times = sorted(self.at)
        return min(b - a for a, b in zip(times, times[LIMIT:], strict=False))


@pytest.fixture
def arrivals() -> Iterator[Arrivals]:
    server = Arrivals()
    yield server
    server.close()


@pytest.fixture
def worker(arrivals: Arrivals) -> Iterator[Callable[[str, int], subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(database_url: str, priority: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, str(_WORKER), database_url, arrivals.url, str(priority)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_killed_processes_never_let_a_sixth_request_into_a_window(
    database_url: str, worker: Callable[[str, int], subprocess.Popen[bytes]], arrivals: Arrivals
) -> None:
    processes = [worker(database_url, priority) for priority in (300, 100, 100, 100)]
    arrivals.wait(7)
    processes[1].kill()
    arrivals.wait(12)
    processes[0].kill()
    # One that is frozen for longer than its lease comes back without doing harm.
    processes[2].send_signal(signal.SIGSTOP)
    arrivals.wait(16)
    processes[2].send_signal(signal.SIGCONT)
    arrivals.wait(26)
    assert arrivals.shortest_span() >= WINDOW_S


def test_a_killed_database_never_lets_a_sixth_request_into_a_window(
    own_server: tuple[embedded.EmbeddedServer, str],
    worker: Callable[[str, int], subprocess.Popen[bytes]],
    arrivals: Arrivals,
) -> None:
    server, url = own_server
    for priority in (300, 100, 100, 100):
        worker(url, priority)
    for count in (8, 14):
        arrivals.wait(count)
        postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        embedded.start(server.home)
    arrivals.wait(24)
    assert arrivals.shortest_span() >= WINDOW_S
    with psycopg.connect(url) as connection:
        assert connection.execute("select n from rate_limit").fetchone() == (LIMIT,)
