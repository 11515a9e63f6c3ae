"""A database with a name that must be encoded, behind a socket: every command finds it."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rehearsal.commands import Commands

pytestmark = pytest.mark.slow
#: What URLs, SQL, configuration files and Postgres' own programs each take for something else.
NAME = "my %20m\N{LATIN SMALL LETTER A WITH DIAERESIS}rk=t+'#?/"
DATABASES = "select datname from pg_database where not datistemplate order by 1"
BARS = "select timeframe::text, count(*), sum(close) from ohlc_bars_v2 group by 1 order by 1"


def test_all_commands_work_on_an_oddly_named_database_behind_a_socket(
    server: Any,
    rows: Callable[..., Any],
    tmp_path: Path,
    surroundings: dict[str, str],
    commands: Commands,
) -> None:
    owner = server.managed().rpartition("/")[2]
    server.run(f'create database "{NAME}" owner {owner}')
    place = f"host={quote(str(server.sockets), safe='')}&port={server.port}"
    url = f"postgresql://{owner}@/{quote(NAME, safe='')}?{place}"
    environment = surroundings | {
        "SWIFTBOLT_HOME": str(tmp_path / "home"),
        "SWIFTBOLT_NOW": "2026-11-20T15:10:00-05:00",
        "POLYGON_REQUESTS_PER_MINUTE": "0",
        "SWIFTBOLT_BACKGROUND": "false",
        "SWIFTBOLT_DATABASE_URL": url,
    }

    def run(*arguments: str) -> str:
        done = commands.run(*arguments, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    there = rows(server.url(), DATABASES)
    assert "upgraded from an empty database" in run("migrate")
    assert "already the newest" in run("migrate")
    run("backfill", "AAPL", "--days", "3")
    assert "BAD" not in run("doctor")
    before = rows(url, BARS)
    assert before
    file = str(tmp_path / "backup")
    run("backup", file)
    rows(url, "delete from ohlc_bars_v2")
    run("restore", file, "--force")
    assert rows(url, BARS) == before
    # No stray one under an encoded name.
    assert set(rows(server.url(), DATABASES)) - set(there) == {(f"{NAME}_dagster",)}
