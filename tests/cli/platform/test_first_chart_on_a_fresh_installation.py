"""On a fresh installation at five requests a minute, what nobody looks at never delays a chart."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

UNTIL_A_SLOT_LAPSES_S = 50


@pytest.fixture(params=["true", "false"])
def up(
    new_up: Callable[..., Any], module_market: Any, request: pytest.FixtureRequest
) -> Iterator[Any]:
    module_market.reset()
    running = new_up(
        seeds=True,
        SWIFTBOLT_BACKGROUND=request.param,
        POLYGON_REQUESTS_PER_MINUTE="5",
        POLYGON_BASE_URL=module_market.url,
        TRADIER_BASE_URL=module_market.url,
    )
    yield running
    running.shell.close()


def of_polygon(market: Any) -> list[str]:
    """Return the symbols that history was asked for, in the order of the requests."""
    paths = [entry["path"] for entry in market.requests() if entry["provider"] == "polygon"]
    return [path.split("/")[4] for path in paths if path.startswith("/v2/aggs/ticker/")]


def test_the_first_chart_is_asked_for_at_once_though_a_seeded_symbol_was_begun_before(
    up: Any, module_market: Any, wait_for: Callable[..., Any]
) -> None:
    wait_for(lambda: of_polygon(module_market) == ["AAPL"], "the seeded symbol is begun", 120)
    up.track("MSFT", "chart_view")
    wait_for(lambda: "MSFT" in of_polygon(module_market), "the chart's symbol is asked for", 120)
    assert of_polygon(module_market)[:2] == ["AAPL", "MSFT"]
    # The rest of its year takes all that is left of the minute.
    wait_for(
        lambda: len(of_polygon(module_market)) >= 5, "the minute is used", UNTIL_A_SLOT_LAPSES_S
    )
    assert of_polygon(module_market)[1:5] == ["MSFT"] * 4
