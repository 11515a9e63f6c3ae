"""Prices tell apart what is apart, whatever their size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.market.prices import price_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (745_000.0, "745,000.00"),
        (1_234.5, "1,234.50"),
        (1.0, "1.00"),
        (0.5, "0.5000"),
        (0.01, "0.0100"),
        (0.0099, "0.009900"),
        (0.000416, "0.0004160"),
        (0.000425, "0.0004250"),
        (-0.000001, "-0.000001000"),
        (0.0, "0.00"),
    ],
)
def test_a_price_reads(value: float, text: str) -> None:
    assert price_text(value) == text


@given(st.floats(1e-9, 0.0099), st.floats(1.001, 100))
def test_below_a_cent_a_thousandth_more_reads_differently(value: float, factor: float) -> None:
    assert price_text(value) != price_text(value * factor)
