"""What a server does not let work do: `doctor` and `/health` say it before work fails."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner

from resources.postgres.callers import CallerPool
from resources.postgres.database import Database
from resources.postgres.limits import needed
from resources.queue.outlook import outlook_of
from resources.schema import migrate
from swiftbolt_assets.api.checkup import Checkup
from swiftbolt_assets.api.prospects import hindrance
from swiftbolt_assets.cli.main import cli
from tests.api.conftest import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WRITE_NOTHING = "alter system set default_transaction_read_only = on"
WRITE_AGAIN = "alter system reset default_transaction_read_only"
RELOAD = "select pg_reload_conf()"
#: What an app and the page ask without a wish.
READING = (
    "chart?symbol=AAPL&timeframe=d1&days=30",
    "coverage?symbol=AAPL",
    "symbols-search?q=AA",
    "quotes?symbols=AAPL",
    "market-status",
    "/health",
)


@pytest.fixture
def server(postgres_16: Any) -> Iterator[Any]:
    """Return the older server: what is told here depends on no version."""
    yield postgres_16
    postgres_16.clear()


@pytest.fixture
def command(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Return what runs a command on an installation of its own; `url` and `owner` hang on it."""
    url = server.managed()
    owner = url.rpartition("/")[2]
    server.run(f"create database {owner}_dagster owner {owner}")
    for name in ("POLYGON_API_KEY", "TRADIER_TOKEN", "SWIFTBOLT_DAGSTER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SWIFTBOLT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SWIFTBOLT_DATABASE_URL", url)
    monkeypatch.setenv("MAX_CONCURRENT_JOBS", "2")
    monkeypatch.setenv("POLYGON_REQUESTS_PER_MINUTE", "0")
    migrate(Database(url, timedelta(0)), date(2026, 11, 1))

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments)

    run.url, run.owner = url, owner  # type: ignore[attr-defined]
    yield run
    server.run(WRITE_AGAIN, RELOAD)


def bad(doctor: Any) -> dict[str, str]:
    """Return what `doctor` does not call well, by subject."""
    lines = [line.split(None, 2) for line in doctor.output.splitlines()]
    return {subject: text for word, subject, text in lines if word == "BAD"}


def test_a_read_only_server_is_told_by_doctor_and_health_and_reading_goes_on(
    command: Any,
    server: Any,
    rows: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell = [sys.executable, "-m", "swiftbolt_assets.cli.main", "backfill", "AAPL", "--days", "5"]
    filled = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert filled.returncode == 0, filled.stderr
    assert bad(command("doctor")) == {}
    assert command("track", "MSFT", "--source", "watchlist").exit_code == 0
    rows(command.url, "select plan_due_symbols('MSFT', 0, 1)")
    monkeypatch.setenv("POLYGON_REQUESTS_PER_MINUTE", "5")
    assert "trouble" not in command("status").output
    server.run(WRITE_NOTHING, RELOAD)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        rows(command.url, "delete from heartbeats")
    told = command("doctor")
    assert told.exit_code == 1
    assert list(bad(told)) == ["database"]
    assert bad(told)["database"].startswith("database: read-only, ")
    assert "make room" in told.output
    for reading in (["status"], ["status", "--json"], ["coverage", "AAPL"], ["calendar", "list"]):
        done = command(*reading)
        assert (done.exit_code, str(done.exception)) == (0, "None"), done.output
    status = command("status").output
    assert "trouble   database: read-only, " in status
    assert "left once the database lets work be done" in status
    with closing(CallerPool(Database(command.url, timedelta(0)))) as pool:
        checkup = Checkup(pool)
        checkup.look()
        found = checkup.latest()
        assert (found.status, found.http_status) == ("degraded", 200)
        assert found.parts["database"]["status"] == "read-only"
        assert found.parts["platform"]["status"] == "unknown"
        with pool.transaction() as connection:
            assert "read-only" in str(hindrance(outlook_of(connection, "AAPL")))
        with served(command.url, tmp_path) as api:
            for path in READING:
                assert api.get(path).status == 200, path
            asked = {"symbol": "AAPL", "timeframe": "h1", "days": 30}
            assert api.post("chart-data-v2", asked).status == 200
            refused = api.post("watchlist-sync", {"action": "add", "symbol": "MSFT"})
        assert refused.status == 503
        assert "read-only" in refused.error
        server.run(WRITE_AGAIN, RELOAD)
        deadline = time.monotonic() + 20
        while checkup.latest().parts["database"]["status"] != "ok":
            # A session hears of it between two statements.
            assert time.monotonic() < deadline
            checkup.look()
    assert bad(command("doctor")) == {}


def test_a_role_that_nobody_can_act_as_any_more_is_told(
    command: Any, rows: Callable[..., Any]
) -> None:
    rows(command.url, "revoke service_role from current_user granted by current_user")
    assert (
        "nobody can act as service_role; run swiftbolt migrate"
        in bad(command("doctor"))["database"]
    )
    assert command("migrate").exit_code == 0
    assert bad(command("doctor")) == {}


def test_a_database_of_dagsters_that_takes_no_writes_is_told(command: Any, server: Any) -> None:
    assert command("migrate").exit_code == 0
    assert bad(command("doctor")) == {}
    server.run(f"alter database {command.owner}_dagster set default_transaction_read_only = on")
    told = bad(command("doctor"))
    assert list(told) == ["work"]
    assert told["work"].startswith("Dagster's database: read-only, ")


def test_a_slot_that_cannot_be_taken_is_told(command: Any, rows: Callable[..., Any]) -> None:
    rows(command.url, "revoke insert on rate_slot from current_user")
    assert "no request's slot can be taken" in bad(command("doctor"))["database"]


@pytest.mark.parametrize(
    ("limit", "whose"),
    [
        ("alter role {owner} connection limit 12", "user {owner}"),
        ("alter role {owner} connection limit 1", "user {owner}"),
        ("alter role {owner} connection limit 34", "user {owner}"),
        ("alter database {owner} connection limit 9", "database {owner}"),
        ("alter database {owner}_dagster connection limit 9", "database {owner}_dagster"),
    ],
)
def test_too_few_connections_are_told_with_the_limit_the_need_and_what_helps(
    command: Any, server: Any, limit: str, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run(limit.format(owner=command.owner))
    allowed = int(limit.rpartition(" ")[2])
    bars, dagster = needed(3)
    needed_by_one = sum(needed(2))
    if whose.startswith("user"):
        need = bars + dagster
    else:
        need = dagster if whose.endswith("_dagster") else bars
    told = bad(command("doctor"))
    assert next(iter(told)) == "limits"
    wanted = f"{whose.format(owner=command.owner)} allows {allowed} connections, {need} are needed"
    assert wanted in told["limits"]
    advice = told["limits"].rpartition(": ")[2]
    assert advice == "raise the limit" + ", or set MAX_CONCURRENT_JOBS=1" * (
        allowed > needed_by_one
    )
    if allowed > needed_by_one:
        monkeypatch.setenv("MAX_CONCURRENT_JOBS", "1")
        assert bad(command("doctor")) == {}
