"""Folding is arithmetic: it changes the basis of prices, rounds, and does nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.clock import new_york_date
from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.splits import Split, fold, fold_digits

TODAY = date(2026, 11, 20)
FIRST = date(2026, 11, 2)
#: 09:30 in New York.
OPEN = datetime(2026, 11, 2, 14, 30, tzinfo=UTC)

days = st.dates(date(2026, 10, 30), date(2026, 11, 30))
shares = st.integers(1, 50).map(float)
splits = st.builds(Split, days, shares, shares)


def frame(*prices: float) -> pl.DataFrame:
    """Return one bar a day from Monday 2026-11-02 on, at 09:30 in New York."""
    rows = [
        (OPEN + timedelta(days=n), price, price + 1, price / 2, price, 1000.0, price, 7)
        for n, price in enumerate(prices)
    ]
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")


bars = st.lists(st.floats(0.01, 5000), min_size=1, max_size=25).map(lambda found: frame(*found))


#: As traded: at most four decimals.
ticks = st.integers(100, 50_000_000).map(lambda n: n / 1e4)
traded = st.lists(ticks, min_size=1, max_size=25).map(lambda found: frame(*found))
PRICES = ("open", "high", "low", "close", "vwap")


def exactly(raw: float, up: float, down: float) -> Fraction:
    """Return a raw price of four decimals in later shares, not rounded."""
    return Fraction(round(raw * 1e8), 10**8) * Fraction(up) / Fraction(down)


@given(traded, days, shares, shares)
def test_a_folded_price_is_the_nearest_decimal_of_its_stated_digits(
    found: pl.DataFrame, day: date, up: float, down: float
) -> None:
    folded = fold(found, [Split(day, up, down)], today=TODAY)
    digits = 4 + fold_digits(up, down)
    for name in ("open", "close"):
        for raw, made, at in zip(found[name], folded[name], found["ts"], strict=True):
            if new_york_date(at) >= day or day > TODAY or up == down:
                assert made == raw
                continue
            # Half a unit of the last digit, and what a float cannot say.
            error = abs(Fraction(made) - exactly(raw, up, down))
            assert error <= Fraction(1, 2 * 10**digits) + Fraction(abs(made)) / 2**50
            # No binary tail: it prints with no more digits than stated.
            assert made == round(made, digits)
            assert len(f"{Decimal(repr(made)):f}".partition(".")[2]) <= digits


@given(traded, days, st.sampled_from([2.0, 4.0, 5.0, 8.0, 10.0, 50.0, 1 / 2, 1 / 5, 1 / 30]))
def test_a_ratio_that_is_a_short_decimal_folds_exactly(
    found: pl.DataFrame, day: date, many: float
) -> None:
    up, down = (1.0, many) if many > 1 else (float(round(1 / many)), 1.0)
    folded = fold(found, [Split(day, up, down)], today=TODAY)
    for raw, made, at in zip(found["close"], folded["close"], found["ts"], strict=True):
        if new_york_date(at) < day <= TODAY:
            assert made == float(exactly(raw, up, down))


@given(traded, days, shares, shares)
def test_two_raw_prices_a_tick_apart_stay_apart(
    found: pl.DataFrame, day: date, up: float, down: float
) -> None:
    higher = found.with_columns(close=(pl.col("close") * 1e4).round() / 1e4 + 0.0001)
    low, high = (fold(one, [Split(day, up, down)], today=TODAY)["close"] for one in (found, higher))
    assert all(a < b for a, b in zip(low, high, strict=True))


@given(bars, st.lists(splits, max_size=3))
def test_folding_by_one_changes_nothing_however_many_decimals(
    found: pl.DataFrame, known: list[Split]
) -> None:
    # There and back on one day, and splits of one share to one.
    back = [Split(split.day, split.split_to, split.split_from) for split in known]
    ones = [Split(split.day, 3.0, 3.0) for split in known]
    assert fold(found, [*known, *back, *ones], today=TODAY).equals(found)


@given(traded, st.lists(splits, max_size=6))
def test_price_times_volume_stays_what_it_was(found: pl.DataFrame, known: list[Split]) -> None:
    folded = fold(found, known, today=TODAY)
    for name in PRICES:
        for raw, made in zip(
            found.select(name, "volume").iter_rows(),
            folded.select(name, "volume").iter_rows(),
            strict=True,
        ):
            # What rounding may take: half a unit of each factor's last digit.
            assert made[0] * made[1] == pytest.approx(raw[0] * raw[1], rel=5e-2)
    assert folded.select("ts", "trade_count").equals(found.select("ts", "trade_count"))
    assert dict(folded.schema) == BAR_SCHEMA


@given(traded, days, shares, shares, shares, shares)
def test_two_splits_of_one_day_are_one_split_of_their_product(
    found: pl.DataFrame, day: date, a: float, b: float, c: float, d: float
) -> None:
    twice = fold(found, [Split(day, a, b), Split(day, c, d)], today=TODAY)
    assert twice.equals(fold(found, [Split(day, a * c, b * d)], today=TODAY))


@pytest.mark.parametrize(
    ("raw", "up", "down", "shown"),
    [
        (649.552, 1.0, 4.0, "162.388"),
        (1623.88, 1.0, 10.0, "162.388"),
        (100.0, 1.0, 3.0, "33.33333"),
        (0.0123, 7.0, 2.0, "0.04305"),
        (10.01, 1.0, 128.0, "0.0782031"),
        (21.37, 20.0, 21.0, "20.35238"),
        (3.2, 180.0, 1.0, "576"),
        # More decimals than prices have: none of them is lost.
        (0.00012345, 5.0, 1.0, "0.00061725"),
        (12.345678, 1.0, 2.0, "6.172839"),
    ],
)
def test_folded_prices_have_no_binary_tail(raw: float, up: float, down: float, shown: str) -> None:
    folded = fold(frame(raw), [Split(TODAY, up, down)], today=TODAY)
    assert f"{folded['close'][0]:.12g}" == shown
    assert Decimal(repr(folded["close"][0])) == Decimal(shown)


def test_the_execution_date_is_new_yorks_and_what_is_announced_folds_nothing() -> None:
    eve = datetime(2026, 11, 3, 4, 45, tzinfo=UTC)  # 23:45 on Monday in New York
    found = frame(400.0, 400.0).with_columns(
        ts=pl.Series([eve, eve + timedelta(minutes=15)], dtype=BAR_SCHEMA["ts"])
    )
    known = [Split(date(2026, 11, 3), 1, 4), Split(date(2026, 11, 21), 1, 10)]
    assert fold(found, known, today=TODAY)["close"].to_list() == [100.0, 400.0]
    assert fold(found, [], today=TODAY) is found
    assert fold(empty_bars(), known, today=TODAY).is_empty()


def test_a_missing_vwap_stays_missing() -> None:
    found = frame(400.0).with_columns(vwap=pl.lit(None, pl.Float64))
    folded = fold(found, [Split(date(2026, 11, 3), 1, 4)], today=TODAY)
    assert folded.select("close", "vwap", "volume").row(0) == (100.0, None, 4000.0)
