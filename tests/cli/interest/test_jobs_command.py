"""`swiftbolt jobs set`: an operator's word counts up and down, at the next planning."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(new_settled: Callable[..., Any]) -> Iterator[Any]:
    """Return a home whose database runs on between the commands."""
    shell = new_settled()
    with embedded.lease(shell.home):
        yield shell


def waiting(home: Any, symbol: str) -> dict[str, tuple[int, int]]:
    """Plan, and return how many sessions wait at which priority, by timeframe."""
    home.sql(f"select plan_job_runs('{symbol}')")
    rows = home.sql(
        "select timeframe::text, sum(sessions)::int, max(priority) from job_runs"
        f" where symbol = '{symbol}' and status = 'queued' group by 1"
    )
    return {name: (sessions, priority) for name, sessions, priority in rows}


def definitions(home: Any, *arguments: str) -> dict[str, dict[str, Any]]:
    done = home.run("jobs", "set", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return {row["timeframe"]: row for row in done.json["definitions"]}


def test_a_symbol_is_added_without_a_change_of_code(home: Any) -> None:
    made = definitions(home, "nflx.b", "--enabled")
    assert {name: row["window_days"] for name, row in made.items()} == {
        "m15": 30,
        "h1": 90,
        "h4": 365,
    }
    assert {row["priority"] for row in made.values()} == {100}
    assert {row["symbol"] for row in made.values()} == {"NFLX.B"}
    assert set(waiting(home, "NFLX.B")) == {"m15", "h1", "h4"}


def test_a_window_counts_up_and_down_at_the_next_planning(home: Any) -> None:
    definitions(home, "TWLO", "--window", "30")
    few = waiting(home, "TWLO")
    definitions(home, "TWLO", "--window", "60", "--timeframe", "1h")
    more = waiting(home, "TWLO")
    assert more["h1"][0] > few["h1"][0]
    assert more["m15"] == few["m15"]
    definitions(home, "TWLO", "--window", "30")
    assert waiting(home, "TWLO") == few


def test_a_priority_counts_at_once_for_what_waits(home: Any) -> None:
    definitions(home, "DOCU", "--priority", "50")
    assert {priority for _, priority in waiting(home, "DOCU").values()} == {50}
    definitions(home, "DOCU", "--priority", "900")
    rows = home.sql("select distinct priority from job_runs where symbol = 'DOCU'")
    assert rows == [(900,)]
    definitions(home, "DOCU", "--priority", "10")
    rows = home.sql("select distinct priority from job_runs where symbol = 'DOCU'")
    assert rows == [(10,)]


def test_what_is_disabled_waits_no_more_and_comes_back_when_enabled(home: Any) -> None:
    definitions(home, "ROKU", "--priority", "150")
    before = waiting(home, "ROKU")
    done = home.run("jobs", "set", "ROKU", "--disabled")
    assert done.out.count("disabled") == 3
    assert waiting(home, "ROKU") == {}
    assert {row["enabled"] for row in definitions(home, "ROKU", "--enabled").values()} == {True}
    assert waiting(home, "ROKU") == before


def test_an_option_changes_nothing_else(home: Any) -> None:
    first = definitions(home, "ZM", "--window", "44", "--priority", "77", "--pin", "--disabled")
    assert first["h1"] == {
        "symbol": "ZM", "timeframe": "h1", "window_days": 44, "priority": 77,
        "enabled": False, "pinned": True,
    }  # fmt: skip
    second = definitions(home, "ZM", "--timeframe", "h4", "--unpin")
    assert second["h4"] == first["h4"] | {"pinned": False}
    assert (second["m15"], second["h1"]) == (first["m15"], first["h1"])
    shown = home.run("jobs", "set", "ZM", "--timeframe", "h4", "--window", "45")
    assert shown.out.splitlines()[2].split() == [
        "ZM", "h4", "45", "days", "priority", "77", "disabled",
    ]  # fmt: skip
    assert "--pin" in shown.out.splitlines()[3]


def test_higher_seeds_are_claimed_first(home: Any) -> None:
    """The function of plain SQL and the command write the same definitions."""
    home.sql("update job_definitions set enabled = false returning 1")
    for symbol, priority in (("META", 150), ("TSLA", 190), ("MSFT", 180)):
        home.sql(f"select seed_intraday_backfill_job('{symbol}', 'm15', 60, {priority})")
    definitions(home, "GOOGL", "--timeframe", "m15", "--window", "60", "--priority", "170",
                "--enabled")  # fmt: skip
    home.sql("select plan_job_runs()")
    order = home.sql(
        "select symbol from job_runs where status = 'queued' group by symbol"
        " order by max(priority) desc"
    )
    assert order == [("TSLA",), ("MSFT",), ("GOOGL",), ("META",)]
    claimed = home.sql("select symbol from claim_symbol(gen_random_uuid(), 0)")
    assert {row[0] for row in claimed} == {"TSLA"}
