"""After a server that let nobody write, or was away, the runs that it cost are run again."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rehearsal.commands import Commands

pytestmark = pytest.mark.slow
COMMAND = (sys.executable, "-m", "swiftbolt_assets.cli.main")
#: As many as there are slots of Dagster's queue for them.
SYMBOLS = ("AMZN", "GOOG", "META", "TSLA")
UNDER_WAY = "select run_id from runs where status in ('STARTING', 'STARTED', 'CANCELING')"
FILLED = """
select count(distinct symbol) = 4 and bool_and(status = 'success') from job_runs
where symbol in ('AMZN', 'GOOG', 'META', 'TSLA')
"""


@contextmanager
def writes_nothing(server: Any) -> Iterator[None]:
    server.run("alter system set default_transaction_read_only = on", "select pg_reload_conf()")
    try:
        yield
    finally:
        server.run("alter system reset default_transaction_read_only", "select pg_reload_conf()")


@contextmanager
def is_away(server: Any) -> Iterator[None]:
    server.control("stop", "--mode=fast")
    try:
        yield
    finally:
        server.control("start")


@pytest.fixture
def environment(
    postgres_18: Any, tmp_path: Path, surroundings: dict[str, str]
) -> Iterator[dict[str, str]]:
    """Return the environment of an installation on an owner's database, with a narrow budget."""
    yield surroundings | {
        "SWIFTBOLT_HOME": str(tmp_path / "home"),
        "SWIFTBOLT_DATABASE_URL": postgres_18.managed(database="away"),
        "SWIFTBOLT_NOW": "2026-11-20T14:31:00-05:00",
        "SWIFTBOLT_FIRST_DATE": "2026-01-02",
        "SWIFTBOLT_BACKGROUND": "false",
        "POLYGON_REQUESTS_PER_MINUTE": "30",
    }
    postgres_18.clear()


@pytest.fixture
def run(environment: dict[str, str], commands: Commands) -> Callable[..., None]:
    """Return what runs a command to its good end."""

    def to_its_end(*arguments: str) -> None:
        done = commands.run(*arguments, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr

    return to_its_end


@pytest.fixture
def look(postgres_18: Any, rows: Callable[..., Any]) -> Callable[..., Any]:
    """Return what runs a statement as the superuser; nothing while the server is away."""

    def rows_of(statement: str, database: str = "away") -> Any:
        try:
            return rows(postgres_18.url(database=database), statement)
        except psycopg.OperationalError:
            return []

    return rows_of


@contextmanager
def up(environment: dict[str, str]) -> Iterator[psutil.Process]:
    """Run a platform; yield its code location."""
    note = Path(environment["SWIFTBOLT_HOME"]) / "platform.json"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        offset = free.getsockname()[1] % 20_000 + 20_000
    platform = subprocess.Popen(
        (*COMMAND, "up", "--port-offset", str(offset)),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: platform.poll() is not None or note.exists(), "the platform runs")
        yield psutil.Process(json.loads(note.read_text())["parts"]["code-location"])
    finally:
        platform.send_signal(signal.SIGTERM)
        assert platform.wait(60) == 0


def until(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {seconds:.0f} s not: {what}"
        time.sleep(0.1)
    return value


def below(process: psutil.Process) -> int:
    """Return how many processes live below one."""
    found = 0
    for child in process.children(recursive=True):
        try:
            found += child.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.parametrize("trouble", [writes_nothing, is_away])
def test_runs_that_a_database_cost_are_run_again_when_it_is_back(
    environment: dict[str, str],
    postgres_18: Any,
    run: Callable[..., None],
    look: Callable[..., Any],
    tmp_path: Path,
    trouble: Callable[[Any], Any],
) -> None:
    """Stock, the code server's thread that notices ends dies of the first refusal."""
    log = tmp_path / "home" / "log" / "code-location.log"
    run("migrate")
    with up(environment) as code:
        idle = below(code)
        run("track", *SYMBOLS, "--source", "watchlist")
        until(lambda: below(code) >= idle + len(SYMBOLS), "runs are at work")
        until(lambda: look("select 1 from provider_requests"), "requests are sent")
        with trouble(postgres_18):
            until(lambda: below(code) < idle + len(SYMBOLS), "a run has died")
            until(lambda: "ended runs cannot be told" in log.read_text(), "its end is refused")
        begun = until(lambda: look("select run_id from runs", "away_dagster"), "it is back")
        lost = {run_id for (run_id,) in begun}

        def left() -> set[str]:
            return lost & {run_id for (run_id,) in look(UNDER_WAY, "away_dagster")}

        # `max_runtime_seconds` would end them, after two hours.
        until(lambda: not left(), "those that died are told, the others go on to their end", 240)
        until(lambda: look(FILLED) == [(True,)], "all is filled", 240)


def test_a_run_of_a_command_whose_end_could_not_be_told_is_ended_by_the_next_platform(
    environment: dict[str, str],
    postgres_18: Any,
    run: Callable[..., None],
    look: Callable[..., Any],
) -> None:
    run("migrate")
    slow = environment | {"POLYGON_REQUESTS_PER_MINUTE": "1"}
    command = subprocess.Popen(
        (*COMMAND, "backfill", "AMZN"),
        env=slow,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: look("select 1 from provider_requests"), "a request is sent")
    with writes_nothing(postgres_18):
        assert command.wait(120) != 0
    assert len(look(UNDER_WAY, "away_dagster")) == 1
    with up(environment):
        until(lambda: not look(UNDER_WAY, "away_dagster"), "its end is told", 30)
