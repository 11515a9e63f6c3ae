"""A fill, or its database, killed at any moment: the next run ends with the same table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.database import Database
from resources.postgres.embedded import server as embedded
from resources.postgres.embedded.server import locate
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.filling.conftest import Desk, Simulator

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).parent / "filling_worker.py"
NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
_PATIENCE_S = 60.0


class Worker:
    """A filling process."""

    def __init__(self, database: Database, provider_url: str) -> None:
        self.database = database
        offset = f"{database.clock_offset.total_seconds():.3f}"
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), database.url, offset, provider_url],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=_PATIENCE_S)
        return self.process.returncode, errors

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=_PATIENCE_S)


def until(condition: Callable[[], bool], worker: Worker) -> None:
    """Wait for a condition, as long as the worker lives."""
    pause = threading.Event()
    for _ in range(int(_PATIENCE_S / 0.005)):
        if condition():
            return
        assert worker.process.poll() is None, worker.wait()
        pause.wait(0.005)
    raise AssertionError("it did not happen")


def final_days(database: Database) -> set[date]:
    with database.transaction() as connection:
        rows = connection.execute("select day from session_coverage where state = 'final'")
        return {row[0] for row in rows}


def test_a_worker_killed_at_any_moment_is_resumed_and_asks_nothing_twice(
    desk: Callable[..., Desk], other_simulator: Callable[..., Simulator]
) -> None:
    slow = other_simulator(latency_seconds=0.1)
    one = desk(simulator=slow)
    database = one.database
    committed: set[date] = set()
    # 0: before anything; then inside the next request or write, in turns.
    for sessions in (0, 53, 260):
        before = len(slow.requests())
        worker = Worker(database, slow.url)
        if sessions == 0:
            until(lambda seen=before: len(slow.requests()) > seen, worker)
        else:
            until(lambda least=sessions: len(final_days(database)) >= least, worker)
        worker.kill()
        asked = one.asked()[before:]
        assert not {day for day in committed if any(f <= str(day) <= t for f, t in asked)}
        committed = final_days(database)
        _assert_whole_answers(database)
    before = len(slow.requests())
    assert Worker(database, slow.url).wait() == (0, "")
    asked = one.asked()[before:]
    assert not {day for day in committed if any(f <= str(day) <= t for f, t in asked)}
    one.assert_exact()


def _assert_whole_answers(database: Database) -> None:
    """Nothing is half stored: each settled session has all its bars in every timeframe."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select c.day, c.bars, count(*) filter (where b.timeframe = 'm15'),"
            " count(*) filter (where b.timeframe = 'h1'),"
            " count(*) filter (where b.timeframe = 'h4')"
            " from market_sessions m left join session_coverage c using (day)"
            " join ohlc_bars_v2 b on b.ts >= m.opens and b.ts < m.closes group by 1, 2"
        ).fetchall()
    shapes = {(bars, m15, h1, h4) for _, bars, m15, h1, h4 in rows}
    assert shapes <= {(26, 26, 7, 2), (14, 14, 4, 1)}


def test_a_write_that_is_killed_before_its_commit_leaves_nothing(
    desk: Callable[..., Desk], simulator: Simulator
) -> None:
    one = desk()
    with psycopg.connect(one.database.url) as other:
        # The worker's first write waits for this lock, after its bars are in.
        other.execute("lock table session_coverage in exclusive mode")
        worker = Worker(one.database, simulator.url)
        until(lambda: _is_waiting(other), worker)
        worker.kill()
    assert final_days(one.database) == set()
    assert one.bars("m15").is_empty()
    assert Worker(one.database, simulator.url).wait() == (0, "")
    one.assert_exact()


def _is_waiting(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select count(*) from pg_locks where not granted"
        " and relation = 'session_coverage'::regclass"
    ).fetchone()
    return bool(row and row[0])


def test_a_database_killed_in_the_middle_fails_the_run_in_one_line_and_the_next_completes(
    desk: Callable[..., Desk],
    other_simulator: Callable[..., Simulator],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    slow = other_simulator(latency_seconds=0.1)
    home = tmp_path_factory.mktemp("killed")
    server = embedded.start(home)
    try:
        database = Database(server.url("swiftbolt"), NOW - datetime.now(UTC))
        migrate(database, date(2024, 1, 2))
        worker = Worker(database, slow.url)
        until(lambda: len(final_days(database)) >= 104, worker)
        pid = int((locate(home).data / "postmaster.pid").read_text("utf-8").split()[0])
        os.kill(pid, signal.SIGKILL)
        code, errors = worker.wait()
        assert code == 1
        assert errors.count("\n") == 1, errors
        assert errors.startswith("database: "), errors
        embedded.start(home)
        kept = final_days(database)
        assert len(kept) >= 104
        before = len(slow.requests())
        assert Worker(database, slow.url).wait() == (0, "")
        one = desk(simulator=slow, database=database)
        asked = one.asked()[before:]
        assert not {day for day in kept if any(f <= str(day) <= t for f, t in asked)}
        one.assert_exact()
    finally:
        embedded.stop(home)
        embedded.erase(home)
