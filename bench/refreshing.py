"""Today's bars of 100 symbols: what a live refresh costs, and what a day of them leaves behind.

The run that the schedule launches, in this process, against a simulator in another one, whose CPU
is nobody's. The first refresh of a quarter hour is reported to Dagster's catalogue, the others are
not; how many of each a day has follows from who is due, tick after tick. Dagster's own event rows
stay bounded: runs of this job are deleted after two days. What belongs here: a
refresh. What does not: launching a run (`orchestration.py`).
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psutil
import psycopg
from live import ANYBODY, await_, free_port_offset, tree
from process import COMMAND, clean_environment
from replies import WALL
from results import Group, Line

from resources.postgres.database import sibling_database
from resources.postgres.embedded.server import locate
from resources.queue.tracking import track
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.definitions import build_definitions
from swiftbolt_assets.jobs.live import REFRESH_TODAY
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.orchestration.instance import open_instance, prepare_dagster
from swiftbolt_assets.orchestration.platform.ports import LOOPBACK, SIMULATOR_PORT
from swiftbolt_assets.policy.freshness import TICK, Watched, closed_through, due
from swiftbolt_assets.policy.retention import BRIEF

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from resources.postgres.database import Database
    from swiftbolt_assets.settings import Settings

SYMBOLS = 100
#: A tick later the next ones are due.
TARGET_S = 60.0
_NOW = WALL + timedelta(minutes=7)
_OLDER = """
update live_refreshes set refreshed_at = refreshed_at - make_interval(mins => %(minutes)s),
  closed_through = closed_through - make_interval(mins => %(minutes)s),
  reported_through = reported_through - make_interval(mins => %(unreported)s)
"""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Refresh:
    """One run: wall and CPU seconds, Postgres' included, requests, and rows in Dagster's log."""

    seconds: float
    cpu: float
    requests: int
    event_rows: int


def measure(home: Path) -> Group:
    """Return the group; `home` is empty and belongs to the run."""
    offset = free_port_offset()
    url = f"http://{LOOPBACK}:{SIMULATOR_PORT + offset}"
    own = clean_environment(home) | {
        "SWIFTBOLT_NOW": _NOW.isoformat(),
        "POLYGON_BASE_URL": url,
        "TRADIER_BASE_URL": url,
        "TRADIER_REQUESTS_PER_MINUTE": "0",
        "SWIFTBOLT_BACKGROUND": "false",
    }
    simulator = subprocess.Popen(
        [str(COMMAND), "simulate", "--port-offset", str(offset)],
        env=own,
        stdout=subprocess.DEVNULL,
        # It says that it was interrupted, as it should.
        stderr=subprocess.DEVNULL,
    )
    try:
        with environment(own), ready() as installation:
            prepare_dagster(installation.settings, installation.database)
            await_(lambda: _answers(SIMULATOR_PORT + offset), "a simulator", seconds=60, every=0.1)
            return _measure(installation.settings, installation.database, home)
    finally:
        simulator.terminate()
        simulator.wait(30)


def _measure(settings: Settings, database: Database, home: Path) -> Group:
    with database.transaction() as connection:
        connection.execute("update job_definitions set enabled = false")
    track(database, UUID(ANYBODY), [f"LIVE{n}" for n in range(SYMBOLS)], "watchlist")
    # The first of a day inserts 100 sessions; the next ones change what is forming.
    kinds = {"the day's first": (0, 0), "a quarter hour's first": (4, 15), "another": (4, 0)}
    found: dict[str, Refresh] = {}
    for name, (minutes, unreported) in kinds.items():
        with database.transaction() as connection:
            connection.execute(_OLDER, {"minutes": minutes, "unreported": unreported})
        found[name] = _refresh(settings, database, home)
        assert found[name].requests == SYMBOLS, found
    runs = _runs_a_day()
    rows = (
        runs["reported"] * found["a quarter hour's first"].event_rows
        + runs["plain"] * found["another"].event_rows
    )
    group = Group(f"live refresh of {SYMBOLS} symbols, one run, over HTTP")
    for name, one in found.items():
        group.lines.append(
            Line(
                f"{name}: {one.requests} requests",
                f"{one.seconds:.1f} s",
                f"{one.cpu:.1f} s of CPU, {one.event_rows:,} event rows",
                target=f"<= {TARGET_S:.0f} s",
                reached=one.seconds <= TARGET_S,
            )
        )
    group.lines.append(
        Line(
            f"event rows a day, {runs['reported']} + {runs['plain']} runs",
            f"{rows:,}",
            f"deleted after {BRIEF.days} days",
        )
    )
    group.data = {
        "refreshes": {name: vars(one) for name, one in found.items()},
        "runs_a_day": runs,
        "event_rows_a_day": rows,
        "kept_days": BRIEF.days,
    }
    return group


def _refresh(settings: Settings, database: Database, home: Path) -> Refresh:
    """Run the job once."""
    job = build_definitions(settings).resolve_job_def(REFRESH_TODAY)
    postmaster = int((locate(home).data / "postmaster.pid").read_text().split()[0])
    server, log = psutil.Process(postmaster), sibling_database(database.url, "_dagster")
    asked = "select count(*) from provider_requests where provider = 'tradier'"
    rows = "select count(*) from event_logs"
    before = _count(database.url, asked), _count(log, rows), tree(server), time.process_time()
    started = time.perf_counter()
    with open_instance(settings) as instance:
        result = job.execute_in_process(instance=instance, run_config=_QUIET)
    seconds = time.perf_counter() - started
    assert result.success
    return Refresh(
        seconds,
        tree(server) - before[2] + time.process_time() - before[3],
        _count(database.url, asked) - before[0],
        _count(log, rows) - before[1],
    )


def _runs_a_day() -> dict[str, int]:
    """Return how many runs a full session has, and how many of them report."""
    session = xnys().session(WALL.date())
    assert session is not None
    watched = [Watched(f"LIVE{n}", UUID(int=n), 300) for n in range(SYMBOLS)]
    runs = {"reported": 0, "plain": 0}
    now = session.opens
    while now <= session.closes + TICK:
        wanted = due(watched, session, now)
        if wanted:
            through = closed_through(session, now)
            is_news = any(one.reported_through != through for one in wanted)
            runs["reported" if is_news else "plain"] += 1
            watched = [replace(one, refreshed_at=now, reported_through=through) for one in watched]
            assert len(wanted) == SYMBOLS
        now += TICK
    return runs


def _count(url: str, statement: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return int(row[0]) if row else 0


def _answers(port: int) -> bool:
    return any(
        one.status == psutil.CONN_LISTEN and one.laddr.port == port
        for one in psutil.net_connections("tcp")
    )


@contextmanager
def environment(wanted: dict[str, str]) -> Iterator[None]:
    """Have exactly these variables, and afterwards those of before."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
