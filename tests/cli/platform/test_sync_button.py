"""The Sync button on a running platform: what it costs, what it brings, and what a kill takes.

The tests of this module share one platform and run in their order.
"""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: A Saturday: the newest session is Friday's, and history has it.
NOW = "2026-11-21T10:00:00-05:00"
KEYS = {
    "SWIFTBOLT_ANON_KEY": "anon-key-of-the-button-test",
    "SWIFTBOLT_SERVICE_KEY": "service-key-of-the-button-test",
    "SWIFTBOLT_JWT_SECRET": "jwt-secret-of-the-button-test-long-enough",
}
_BAR = (
    "from ohlc_bars_v2 where timeframe = 'm15' and ts = '2026-11-20 15:00Z' and symbol_id ="
    " (select id from symbols where ticker = 'AAPL')"
)
_ENDED = "select 1 from rechecks where ended_at is not null and error is null"
_A_MINUTE_LATER = (
    "update rechecks set request_at = request_at - interval '1 minute', due_at = due_at -"
    " interval '1 minute'"
)


@pytest.fixture(scope="module")
def market(new_market: Callable[..., Any]) -> Iterator[Any]:
    running = new_market(now=lambda: datetime(2026, 11, 21, 15, 0, tzinfo=UTC))
    yield running
    running.close()


@pytest.fixture(scope="module")
def up(new_up: Callable[..., Any], market: Any, wait_for: Callable[..., Any]) -> Any:
    """Return a platform with one complete symbol."""
    running = new_up(
        POLYGON_BASE_URL=market.url, TRADIER_BASE_URL=market.url, SWIFTBOLT_NOW=NOW, **KEYS
    )
    running.track("AAPL")
    wait_for(lambda: running.is_complete("AAPL"), "AAPL is complete", 240)
    return running


def press(up: Any, symbol: str = "AAPL") -> Any:
    """Press the button, as the app does; it must be answered before the app gives up."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{8000 + int(up.offset)}/functions/v1/user-refresh",
        json.dumps({"symbol": symbol}).encode(),
        {
            "Authorization": f"Bearer {KEYS['SWIFTBOLT_ANON_KEY']}",
            "Content-Type": "application/json",
        },
    )
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=15) as reply:
        told = json.load(reply)
    assert time.monotonic() - began < 12
    return told


def fetched(told: Any) -> str:
    return next(one["status"] for one in told["steps"] if one["step"] == "fetch_bars")


def asked(market: Any, symbol: str = "AAPL") -> int:
    """Return how many requests for bars of a symbol have arrived."""
    paths = [entry["path"] for entry in market.requests()]
    return sum(path.startswith(f"/v2/aggs/ticker/{symbol}/") for path in paths)


def exact(up: Any, market: Any) -> bool:
    """Return whether the bars of a year are the market's."""
    first, last = "2025-11-21", "2026-11-19"
    return up.differences(market, "AAPL", first, last, stored_from=first) == []


def spoil(up: Any) -> None:
    """Have a stored bar differ from the provider's, as after a late correction."""
    up.rows(
        f"with b as (select ctid, tableoid {_BAR}) update ohlc_bars_v2 o set volume = 1"
        " from b where (o.ctid, o.tableoid) = (b.ctid, b.tableoid) returning 1"
    )


def test_a_press_brings_the_corrected_bar_for_one_request(
    up: Any, market: Any, wait_for: Callable[..., Any]
) -> None:
    spoil(up)
    before, progress = asked(market), up.progress("AAPL")
    told = press(up)
    assert told["success"] is True
    assert told["summary"]["backfillNeeded"] is False
    # A busy machine may need longer for a run than the button waits.
    assert (fetched(told), told["summary"]["barsUpdated"]) in {("completed", 1), ("pending", 0)}
    wait_for(lambda: up.rows(_ENDED), "the press is answered", 60)
    assert up.rows(f"select volume > 1 {_BAR}") == [(True,)]
    assert exact(up, market)
    assert asked(market) == before + 1
    assert up.progress("AAPL") == progress


def test_many_presses_at_once_are_one_request_a_minute(
    up: Any, market: Any, wait_for: Callable[..., Any]
) -> None:
    before = asked(market)
    up.rows("update rechecks set request_at = clock_timestamp() returning 1")
    with ThreadPoolExecutor(8) as people:
        told = list(people.map(lambda _: press(up), range(16)))
    assert {fetched(one) for one in told} == {"skipped"}
    assert asked(market) == before
    up.rows(f"{_A_MINUTE_LATER} returning 1")
    with ThreadPoolExecutor(8) as people:
        told = list(people.map(lambda _: press(up), range(16)))
    assert {fetched(one) for one in told} <= {"completed", "pending", "skipped"}
    wait_for(lambda: up.rows(_ENDED), "the press is answered", 60)
    assert asked(market) == before + 1


def test_a_provider_that_hangs_keeps_nobody_waiting(up: Any, market: Any) -> None:
    up.rows(f"{_A_MINUTE_LATER} returning 1")
    before, progress = asked(market), up.progress("AAPL")
    market.spoil(kinds=["slow"], seconds=20)
    told = press(up)
    assert (fetched(told), told["success"], told["summary"]["barsUpdated"]) == ("pending", True, 0)
    assert asked(market) == before + 1
    assert up.progress("AAPL") == progress
    market.reset()


def test_a_kill_of_everything_loses_no_bar_and_the_press_is_answered_afterwards(
    up: Any, market: Any, wait_for: Callable[..., Any]
) -> None:
    wait_for(lambda: up.rows(_ENDED), "the slow answer came", 60)
    up.rows(f"{_A_MINUTE_LATER} returning 1")
    spoil(up)
    progress = up.progress("AAPL")
    market.reset()
    market.spoil(kinds=["slow"], seconds=5, times=1)
    with ThreadPoolExecutor(1) as person:
        pressed = person.submit(press, up)
        wait_for(lambda: asked(market) == 1, "the request is under way", 30)
        up.kill()
        # On a busy machine the press was told to wait before its request was under way.
        assert pressed.exception(30) is not None or fetched(pressed.result()) == "pending"
    up.start()
    wait_for(lambda: up.rows(_ENDED), "the press is answered", 180)
    assert asked(market) == 2, "the one that was killed, and one more"
    first, second = (
        entry["time"] for entry in market.requests() if entry["path"].startswith("/v2/aggs/")
    )
    assert second - first >= 60
    assert up.rows(f"select volume > 1 {_BAR}") == [(True,)]
    assert up.progress("AAPL") == progress
    assert exact(up, market)


def test_a_button_for_a_new_symbol_has_it_filled(
    up: Any, market: Any, wait_for: Callable[..., Any]
) -> None:
    told = press(up, "MSFT")
    assert told["success"] is True
    wait_for(lambda: up.is_complete("MSFT"), "MSFT is complete", 180)
    is_open = "select count(*) from rechecks where ended_at is null"
    wait_for(lambda: up.rows(is_open) == [(0,)], "all is answered", 90)
    (slices,) = up.rows("select count(distinct first_day) from job_runs where symbol = 'MSFT'")[0]
    assert asked(market, "MSFT") <= slices + 1


def test_a_killed_run_is_asked_again_by_itself(
    up: Any, market: Any, wait_for: Callable[..., Any]
) -> None:
    up.rows(f"{_A_MINUTE_LATER} returning 1")
    spoil(up)
    market.reset()
    market.spoil(kinds=["slow"], seconds=8, times=1)
    with ThreadPoolExecutor(1) as person:
        pressed = person.submit(press, up)
        wait_for(lambda: asked(market) == 1, "the request is under way", 30)
        # Today's bars may be asked for at the same moment, by another run.
        for run in up.runs:
            run.kill()
        assert fetched(pressed.result(15)) in {"pending", "completed"}
    corrected = f"select 1 {_BAR} and volume > 1"
    wait_for(lambda: up.rows(corrected), "the corrected bar is stored", 180)
    assert asked(market) == 2
