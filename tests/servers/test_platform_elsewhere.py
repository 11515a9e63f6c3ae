"""The whole product on the hardest of these servers, from `migrate` to a chart in the browser."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rehearsal.commands import Commands

pytestmark = pytest.mark.slow
#: During a session, so that there are bars of today.
NOW = "2026-11-20T14:31:00-05:00"
COMMAND = (sys.executable, "-m", "swiftbolt_assets.cli.main")
GERMAN = (
    "alter database sb set datestyle = 'German'",
    "alter database sb set default_transaction_isolation = 'serializable'",
    "alter database sb set statement_timeout = '3s'",
    "alter database sb set search_path = 'nobody'",
    "alter role sb set timezone = 'Asia/Kolkata'",
    "alter role sb set lock_timeout = '50ms'",
)


@pytest.fixture
def installation(
    postgres_16: Any, tmp_path: Path, surroundings: dict[str, str]
) -> Iterator[tuple[dict[str, str], int]]:
    """Return the environment of an installation on a German owner's database, and a port offset.

    Its owner has no right but to make databases and roles; Dagster's database is made by `up`.
    """
    url = postgres_16.managed(database="sb")
    postgres_16.run(*GERMAN)
    postgres_16.run("alter role sb set datestyle = 'German'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        offset = free.getsockname()[1] % 20_000 + 20_000
    yield (
        surroundings
        | {
            "SWIFTBOLT_HOME": str(tmp_path / "home"),
            "SWIFTBOLT_DATABASE_URL": url,
            "SWIFTBOLT_NOW": NOW,
            "SWIFTBOLT_BACKGROUND": "false",
            "POLYGON_REQUESTS_PER_MINUTE": "0",
        },
        offset,
    )
    postgres_16.clear()


def until(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"in {seconds:.0f} s not: {what}"
        time.sleep(0.1)
    return value


def read(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)
    except OSError:
        return None


def test_from_migrate_to_a_chart_on_an_owner_without_superuser_and_german_dates(
    installation: tuple[dict[str, str], int],
    browser: Any,
    postgres_16: Any,
    rows: Callable[..., Any],
    commands: Commands,
) -> None:
    environment, offset = installation
    api = f"http://127.0.0.1:{8000 + offset}"

    def run(*arguments: str) -> str:
        done = commands.run(*arguments, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "upgraded from an empty database" in run("migrate")
    platform = subprocess.Popen(
        (*COMMAND, "up", "--port-offset", str(offset)),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: read(f"{api}/health"), "the API answers")
        until(lambda: read(f"{api}/health")["status"] == "ok", "all parts are well")
        assert "BAD" not in run("doctor")
        page = browser.new_page()
        page.goto(f"{api}/chart#MSFT")
        page.wait_for_function(
            "() => Number(document.querySelector('#chart').dataset.bars) > 100", timeout=120_000
        )
        superuser = postgres_16.url(database="sb")
        complete = "select bool_and(status = 'success') from job_runs where symbol = 'MSFT'"
        until(lambda: rows(superuser, complete) == [(True,)], "MSFT is complete", 240)
        run("prove", "MSFT")
        held = "select count(*) from ohlc_bars_v2 b where b.provider = 'tradier'"
        until(lambda: rows(superuser, held)[0][0] > 0, "today's bars are there")
        failed = "select count(*) from runs where status = 'FAILURE'"
        assert rows(postgres_16.url(database="sb_dagster"), failed) == [(0,)]
        page.close()
    finally:
        platform.send_signal(signal.SIGTERM)
        assert platform.wait(60) == 0
