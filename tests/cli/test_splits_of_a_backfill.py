"""A backfill without a platform asks for splits after its bars, and only if a slot is free."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

#: The simulator's SPLT splits 10:1 on Monday 2025-09-08.
WINDOW = ("--from", "2025-09-02", "--to", "2025-09-12")
SPLITS = "/stocks/v1/splits"


def paths(market: Any) -> list[str]:
    return [entry["path"] for entry in market.requests() if entry["provider"] == "polygon"]


def test_the_bars_come_first_and_splits_once(shell: Any, market: Callable[..., Any]) -> None:
    provider = market()
    shell.environment["POLYGON_BASE_URL"] = provider.url
    report = shell.run("backfill", "SPLT", *WINDOW, "--json").json
    # What the command tells is about bars.
    assert (report["requests"], report["state"]) == (1, "complete")
    assert paths(provider)[1:] == [SPLITS, SPLITS]
    assert shell.run("backfill", "SPLT", *WINDOW, "--json").code == 0
    assert len(paths(provider)) == 3


def test_splits_take_no_slot_that_bars_may_need(shell: Any, market: Callable[..., Any]) -> None:
    provider = market()
    shell.environment["POLYGON_BASE_URL"] = provider.url
    shell.environment["POLYGON_REQUESTS_PER_MINUTE"] = "2"
    done = shell.run("backfill", "SPLT", *WINDOW, "--json")
    # One slot is left, and it stays free for bars.
    assert (done.code, done.json["state"]) == (0, "complete")
    assert SPLITS not in paths(provider)
