"""What the product is for, on servers as others run them: the same bars as on a plain one."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import served, token
from tests.servers.test_session_defaults import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rehearsal.commands import Commands

pytestmark = pytest.mark.slow
NOW = "2026-11-20T15:10:00-05:00"
PERSON = "00000000-0000-0000-0000-0000000000aa"
BARS = """
select s.ticker, b.timeframe::text, extract(epoch from b.ts)::bigint, b.open, b.high, b.low,
  b.close, b.volume
  from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id where b.provider = 'polygon'
 order by 1, 2, 3
"""


def shell(
    commands: Commands, surroundings: dict[str, str], home: Path, url: str
) -> Callable[..., str]:
    """Return what runs a command on an installation and returns what it printed."""
    environment = surroundings | {
        "SWIFTBOLT_HOME": str(home),
        "SWIFTBOLT_NOW": NOW,
        "POLYGON_REQUESTS_PER_MINUTE": "0",
        "SWIFTBOLT_BACKGROUND": "false",
        "SWIFTBOLT_DATABASE_URL": url,
    }

    def run(*arguments: str) -> str:
        done = commands.run(*arguments, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def work(
    commands: Commands, surroundings: dict[str, str], home: Path, url: str
) -> Callable[..., str]:
    """Fill a symbol and refresh it; return the shell."""
    run = shell(commands, surroundings, home, url)
    run("migrate")
    run("track", "TSLA", "--source", "watchlist")
    run("backfill", "AAPL", "--days", "12")
    run("live", "--once", "AAPL")
    return run


def content_hash(proof: str) -> str:
    (line,) = (line for line in proof.splitlines() if line.lstrip().startswith("hash"))
    return line


def calls(url: str, home: Path) -> None:
    """Read and write through the API, as the operator, as nobody and as a person."""
    with served(url, home) as api:
        asked = {"symbol": "AAPL", "timeframe": "h1", "days": 30}
        chart = api.post("chart-data-v2", asked)
        assert chart.status == 200, chart.body
        assert len(chart.json["layers"]["historical"]["data"]) > 20
        found = api.get("symbols-search?q=AAPL")
        assert [one["ticker"] for one in found.json] == ["AAPL"]
        mine = {"action": "add", "symbol": "MSFT"}
        for key in (None, token(PERSON)):
            reply = api.post("watchlist-sync", mine, key=key or api.keys.anon)
            assert reply.status == 200, reply.body
        told = api.call("POST", "orchestrator?action=tick", key=api.keys.service)
        assert told.status == 200, told.body
        assert api.health().json["parts"]["database"]["status"] == "ok"


def test_commands_and_api_work_on_an_owner_without_superuser_and_with_foreign_defaults(
    server: Any,
    tmp_path: Path,
    rows: Callable[..., Any],
    surroundings: dict[str, str],
    commands: Commands,
) -> None:
    url = server.managed(database="sb")
    server.run("create database sb_dagster owner sb")
    for name in ("sb", "sb_dagster"):
        server.run(*(f"alter database {name} set {key} = '{HOSTILE[key]}'" for key in HOSTILE))
    run = work(commands, surroundings, tmp_path / "home", url)
    server.run("create database plain", "create database plain_dagster")
    plain = work(commands, surroundings, tmp_path / "plain", server.url(database="plain"))
    stored = rows(server.url(database="sb"), BARS)
    assert len(stored) > 300
    assert stored == rows(server.url(database="plain"), BARS)
    assert json.loads(run("status", "--json"))["symbols"]
    assert "BAD" not in run("doctor")
    assert content_hash(run("prove", "AAPL")) == content_hash(plain("prove", "AAPL"))
    calls(url, tmp_path)
    run("backup", str(tmp_path / "all.swiftbolt"))
    run("restore", str(tmp_path / "all.swiftbolt"), "--force")
    assert rows(server.url(database="sb"), BARS) == stored
    assert "AAPL" in run("coverage", "AAPL")
