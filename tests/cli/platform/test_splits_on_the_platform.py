"""The platform keeps splits current by itself, after the bars and with the requests promised."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

SPLITS = "/stocks/v1/splits"


@pytest.fixture
def up(new_up: Callable[..., Any], module_market: Any) -> Any:
    return new_up(
        POLYGON_REQUESTS_PER_MINUTE="0",
        POLYGON_BASE_URL=module_market.url,
        TRADIER_BASE_URL=module_market.url,
    )


def test_a_new_symbols_splits_are_known_soon_after_its_bars(
    up: Any, wait_for: Callable[..., Any], module_market: Any
) -> None:
    up.track("SPLT")
    wait_for(lambda: up.is_complete("SPLT"), "SPLT is complete", 90)
    known = (
        "select execution_date, split_from, split_to from splits s"
        " join symbols y on y.id = s.symbol_id where ticker = 'SPLT'"
    )
    wait_for(lambda: up.rows(known), "its split is known", 90)
    assert up.rows(known) == [(date(2025, 9, 8), 1.0, 10.0)]
    answered = "select count(*) from split_lookups where symbol in ('*', 'SPLT') and failures = 0"
    wait_for(lambda: up.rows(f"{answered} and answered_at is not null") == [(2,)], "both", 60)
    asked = [entry for entry in module_market.requests() if entry["path"] == SPLITS]
    own = up.rows("select count(*) from split_lookups where answered_at is not null")
    # One for all symbols, one for each that has bars; none twice.
    assert [(len(asked),)] == own
