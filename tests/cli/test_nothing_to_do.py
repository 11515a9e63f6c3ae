"""A command with nothing to do says so without Dagster, and still sees what there is to do."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

#: Python tells each import on stderr; what is heavy takes seconds of every start.
TOLD = (sys.executable, "-X", "importtime", "-m", "swiftbolt_assets")
HEAVY = ("dagster", "polars", "numpy", "sqlalchemy", "httpx")
COVERED = ("backfill", "AAPL", "--from", "2026-11-16", "--to", "2026-11-19", "--json")

#: No session is under way.
SATURDAY = {"SWIFTBOLT_NOW": "2026-11-21T12:00:00-05:00"}


@pytest.fixture(scope="module")
def filled(new_settled: Callable[..., Any], module_market: Any) -> Iterator[Any]:
    """Return a home with four sessions of AAPL; its database is kept running."""
    shell = new_settled(
        SWIFTBOLT_BACKGROUND="false",
        POLYGON_BASE_URL=module_market.url,
        TRADIER_BASE_URL=module_market.url,
    )
    assert shell.run("env").code == 0
    # On the day on which nothing is to be done, too: its first command asks for splits.
    for more in ({}, SATURDAY):
        assert shell.run(*COVERED, **more).code == 0
    yield shell
    shell.close()


def brought(done: Any) -> set[str]:
    """Return what a command that told its imports has imported of what is heavy."""
    names = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if "|" in line}
    return names & set(HEAVY)


@pytest.mark.parametrize(
    "command",
    [
        COVERED,
        ("status",),
        ("live", "AAPL", "--once"),
        ("live", "--once"),
        ("env",),
        ("monitor",),
        ("doctor",),
        ("track", "AAPL", "--source", "watchlist"),
        ("jobs", "set", "AAPL", "--priority", "300"),
    ],
    ids=" ".join,
)
def test_it_brings_nothing_heavy_and_asks_nothing(
    filled: Any, module_market: Any, command: tuple[str, ...]
) -> None:
    module_market.reset()
    done = filled.run(*command, argv=TOLD, **SATURDAY)
    assert done.code == 0, done.err[-500:]
    assert brought(done) == set()
    assert module_market.requests() == []


def test_a_session_that_is_told_whole_after_its_close_asks_nothing(
    filled: Any, module_market: Any
) -> None:
    evening = (*COVERED[:-2], "2026-11-20", "--json")
    assert filled.run(*evening).code == 0
    module_market.reset()
    again = filled.run(*evening, argv=TOLD)
    assert again.code == 0, again.err[-500:]
    assert brought(again) == set()
    assert module_market.requests() == []


def test_it_says_what_a_run_says_and_a_second_one_is_told_nothing_new(filled: Any) -> None:
    again = filled.run(*COVERED)
    assert (again.code, again.json["state"], again.json["requests"]) == (0, "complete", 0)
    assert again.json["bars"] == {"m15": 4 * 26, "h1": 4 * 7, "h4": 4 * 2}
    assert again.err == f"AAPL: 100 % · {4 * 26} bars · 0 requests\n"


@pytest.mark.parametrize(
    "change",
    [
        "update session_coverage set ask_again_at = '2026-11-19' where day = '2026-11-18'",
        "delete from session_coverage where day = '2026-11-18'",
        "delete from ohlc_bars_v2 where ts = '2026-11-18T15:00:00Z' and timeframe = 'm15'",
    ],
)
def test_what_is_due_unknown_or_lost_is_seen(filled: Any, change: str) -> None:
    filled.sql(change)
    done = filled.run(*COVERED, argv=TOLD)
    assert done.code == 0, done.err[-500:]
    assert "dagster" in brought(done)
    assert filled.run(*COVERED, "--force").code == 0


def test_what_dagster_was_never_told_is_told(filled: Any) -> None:
    """As after a run that was killed between its commit and its report."""
    url = filled.database_url.replace("/swiftbolt?", "/swiftbolt_dagster?")
    gone = "delete from event_logs where asset_key = '[\"h4_bars\"]' and partition = %s"
    told = "select count(*) from event_logs where asset_key = '[\"h4_bars\"]' and partition = %s"
    key = ("2026-11-17|AAPL",)
    with psycopg.connect(url) as connection:
        connection.execute(gone, key)
    assert filled.run(*COVERED).json["requests"] == 0
    with psycopg.connect(url) as connection:
        row = connection.execute(told, key).fetchone()
    assert row is not None
    assert row[0] >= 1
