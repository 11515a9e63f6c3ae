"""Five requests in any sixty seconds: two commands, one of them killed, a provider that fails.

Real time, so this takes two minutes; the scaled-down forms are in `tests/rate_limit`.
"""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LIMIT, WINDOW_S = 5, 60.0


def test_no_minute_ever_holds_a_sixth_request(
    shell: Any, market: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    provider = market()
    shell.environment |= {
        "POLYGON_BASE_URL": provider.url,
        "TRADIER_BASE_URL": provider.url,
        "POLYGON_REQUESTS_PER_MINUTE": str(LIMIT),
    }
    provider.spoil(rate=0.3, kinds=["500"], provider="polygon")

    def polygon() -> list[float]:
        return sorted(r["time"] for r in provider.requests() if r["provider"] == "polygon")

    window = ("--from", "2024-11-20", "--to", "2026-11-19")
    doomed = shell.start("backfill", "AAPL", *window)
    other = shell.start("backfill", "MSFT", *window)
    # Killed within the first minute, its requests counted; a third one joins with an empty memory.
    provider.wait(3, 90)
    doomed.send_signal(signal.SIGKILL)
    third = shell.start("backfill", "AAPL", *window)
    provider.wait(2 * LIMIT + 1, 240)
    times = polygon()
    other.send_signal(signal.SIGINT)
    third.send_signal(signal.SIGINT)
    assert [finish(process).code for process in (other, third)] == [130, 130]
    assert len(times) >= 2 * LIMIT + 1
    shortest = min(b - a for a, b in zip(times, times[LIMIT:], strict=False))
    assert shortest >= WINDOW_S
    # The budget is used, not just kept: a minute's end brings the next ones at once.
    assert times[LIMIT] - times[0] < WINDOW_S + 15
    assert times[2 * LIMIT] - times[0] < 2 * WINDOW_S + 30
