"""How many requests wait ahead of a symbol, as everybody who waits is told."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resources.queue.depth import QueueDepth

if TYPE_CHECKING:
    from collections.abc import Callable


def want(api: Any, symbol: str, priority: int) -> int:
    """Have two years of a symbol wanted; return its slices."""
    body = {"symbol": symbol, "timeframe": "m15", "window_days": 730, "priority": priority}
    for timeframe in ("m15", "h1", "h4"):
        assert api.post("ensure-coverage", body | {"timeframe": timeframe}).status == 200
    return int(
        api.sql("select count(distinct last_day) from job_runs where symbol = %s", symbol)[0][0]
    )


def test_a_slice_of_three_timeframes_is_one_request_and_less_urgent_ones_do_not_count(
    api: Any,
) -> None:
    slices = {symbol: want(api, symbol, p) for symbol, p in (("AAPL", 200), ("MSFT", 100))}
    assert min(slices.values()) > 5
    with api.connect() as connection:
        depth = QueueDepth()
        assert depth.ahead(connection, 200) == slices["AAPL"]
        assert depth.ahead(connection, 150) == slices["AAPL"]
        assert depth.ahead(connection, 100) == slices["AAPL"] + slices["MSFT"]
        assert depth.ahead(connection, 201) == 0


def test_while_one_counts_the_others_go_on_with_what_there_is(
    api: Any, wait_for: Callable[..., Any]
) -> None:
    with api.connect() as connection:
        depth = QueueDepth()
        assert depth.ahead(connection, 0) == 0
        slices = want(api, "AAPL", 200)
        with depth._counting:
            assert depth.ahead(connection, 0) == 0
        wait_for(lambda: depth.ahead(connection, 0) == slices, "the queue is counted anew")
