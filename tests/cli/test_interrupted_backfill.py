"""Backfills that are stopped, killed, or run at once lose nothing and ask nothing twice."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded
from resources.schema import newest_revision

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

#: 208 sessions: four requests of 52.
WINDOW = ("--from", "2026-01-26", "--to", "2026-11-19")
SESSIONS, REQUESTS = 208, 4


def truth(market: Any, symbol: str) -> dict[str, int]:
    return {
        name: len(market.truth(symbol, name, WINDOW[1], WINDOW[3])) for name in ("m15", "h1", "h4")
    }


def of_bars(market: Any) -> list[str]:
    """Return the requests of bars; splits are asked for afterwards."""
    paths = [entry["path"] for entry in market.requests()]
    return [path for path in paths if path.startswith("/v2/aggs/")]


def test_a_stopped_or_killed_backfill_goes_on_where_it_was(
    shell: Any, market: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    provider = market(latency_seconds=0.7)
    shell.environment["POLYGON_BASE_URL"] = provider.url
    for asked, kind in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGKILL), 1):
        process = shell.start("backfill", "AAPL", "MSFT", *WINDOW)
        provider.wait(asked)
        process.send_signal(kind)
        done = finish(process)
        assert "Traceback" not in done.err
        if kind != signal.SIGKILL:
            assert done.code == 130
            said = [line for line in done.err.splitlines() if line.startswith("swiftbolt: ")]
            assert said == ["swiftbolt: interrupted; what was stored stays, start again to go on"]
            # Whoever leaves in good order takes the database along.
            assert shell.left_over() == []
    last = shell.run("backfill", "AAPL", *WINDOW, "--json")
    assert last.code == 0, last.err
    report = last.json
    assert report["sessions"] == report["sessions_wanted"] == SESSIONS
    assert report["bars"] == truth(provider, "AAPL")
    # What was committed is not asked for again: each stop costs the request in flight at most.
    assert len(of_bars(provider)) <= REQUESTS + 3
    assert shell.left_over() == []


def test_two_backfills_of_one_symbol_ask_no_more_than_one(
    shell: Any, market: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    provider = market(latency_seconds=0.3)
    shell.environment["POLYGON_BASE_URL"] = provider.url
    # Both begin on an empty home: they make the server and both schemas at the same time.
    both = [shell.start("backfill", "AAPL", *WINDOW, "--json") for _ in range(2)]
    ended = [finish(process) for process in both]
    assert [done.code for done in ended] == [0, 0], [done.err for done in ended]
    assert len(of_bars(provider)) == REQUESTS
    for done in ended:
        assert done.json["bars"] == truth(provider, "AAPL")
    assert shell.left_over() == []


def test_the_first_to_finish_leaves_the_others_database_alone(
    shell: Any, market: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    slow, quick = market(latency_seconds=4.0), market()
    long = shell.start("backfill", "AAPL", *WINDOW, "--json", POLYGON_BASE_URL=slow.url)
    slow.wait(1)
    short = shell.run(
        "backfill", "MSFT", "--from", "2026-11-18", "--to", "2026-11-18", POLYGON_BASE_URL=quick.url
    )
    assert short.code == 0, short.err
    assert long.poll() is None
    done = finish(long)
    assert (done.code, done.json["sessions"]) == (0, SESSIONS), done.err
    assert not embedded.is_running(shell.home)


def test_two_migrations_of_an_empty_home_end_well(shell: Any, finish: Callable[..., Any]) -> None:
    ended = [finish(process) for process in [shell.start("migrate") for _ in range(2)]]
    assert [done.code for done in ended] == [0, 0], [done.err for done in ended]
    said = sorted(done.out.splitlines()[0].split(": ")[1] for done in ended)
    assert said == ["already the newest", "upgraded from an empty database"]
    newest = f"schema {newest_revision()}: already the newest"
    assert shell.run("migrate").out.startswith(newest)
