"""What the provider refuses is kept with its code, tried again in time, told, and mended.

The tests of this module share one platform and run in their order.
"""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def up(new_up: Callable[..., Any], module_market: Any) -> Any:
    return new_up(POLYGON_BASE_URL=module_market.url, TRADIER_BASE_URL=module_market.url)


def test_an_outage_is_retried_with_its_reason_and_the_provider_cools_down(
    up: Any, wait_for: Callable[..., Any], module_market: Any
) -> None:
    module_market.spoil(kinds=["500"], provider="polygon")
    up.track("MSFT")
    noted = (
        "select distinct status, attempt, error_code, next_attempt_at > clock_timestamp()"
        " from job_runs where symbol = 'MSFT' and error_code is not null"
    )
    wait_for(lambda: up.rows(noted), "the failure is noted", 90)
    assert up.rows(noted) == [("queued", 2, "PROVIDER_UNAVAILABLE", True)]
    (told,) = up.rows("select distinct error_message from job_runs where error_code is not null")
    assert told[0].startswith("polygon")
    assert "\n" not in told[0]
    held = "select count(*) from job_runs where claim_id is not null"
    assert up.rows(held) == [(0,)]


def test_status_says_which_provider_is_left_alone_and_why(
    up: Any, wait_for: Callable[..., Any]
) -> None:
    cooling = "select reason from provider_health where cooling_until > clock_timestamp()"
    wait_for(lambda: up.rows(cooling), "the third failure in a row", 120)
    told: list[tuple[str, int]] = []

    def tells() -> bool:
        report = up.shell.run("status", "--json").json
        (polygon,) = (one for one in report["budgets"] if one["provider"] == "polygon")
        if polygon["cooling_down"]:
            told.append((polygon["cooling_down"], report["queue"]["retrying"]))
        return bool(told)

    # The first pauses are over in seconds, and others follow.
    wait_for(tells, "status tells of a pause", 120)
    assert "not asked before" in told[0][0]
    assert told[0][1] >= 1
    wait_for(lambda: "cooling down" in up.shell.run("status").out, "so does its table", 120)


def test_nothing_is_asked_while_it_cools_down(up: Any, module_market: Any) -> None:
    module_market.reset()
    up.track("NVDA")
    ticks = "select count(*) from job_runs where symbol = 'NVDA' and status = 'queued'"
    up._wait_for(lambda: up.rows(ticks)[0][0] > 0, "NVDA is planned", 30)
    assert module_market.requests() == []


def test_an_explicit_backfill_probes_and_starts_attempts_anew(
    up: Any, wait_for: Callable[..., Any]
) -> None:
    done = up.shell.run("backfill", "MSFT", "--days", "365", "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "complete"
    wait_for(lambda: up.is_complete("MSFT"), "the queue knows it", 30)
    assert up.rows("select count(*) from job_runs where error_code is not null") == [(0,)]
    # The provider answers again, so what waited goes on by itself.
    wait_for(lambda: up.is_complete("NVDA"), "NVDA is complete", 60)


def test_a_rate_limit_uses_up_no_attempt(
    up: Any, wait_for: Callable[..., Any], module_market: Any
) -> None:
    module_market.spoil(kinds=["429"], provider="polygon", times=1)
    up.track("AMD")
    wait_for(lambda: up.is_complete("AMD"), "AMD is complete", 150)
    assert up.rows("select max(attempt) from job_runs where symbol = 'AMD'") == [(1,)]
    report = up.shell.run("status", "--json").json
    assert {budget["cooling_down"] for budget in report["budgets"]} == {None}
