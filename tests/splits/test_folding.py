"""Folding is arithmetic: it changes the basis of prices and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.splits import Doubt, Edges, Split, findings, fold

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


def assert_alike(left: pl.DataFrame, right: pl.DataFrame) -> None:
    for name in BAR_SCHEMA:
        assert left[name].to_list() == (
            right[name].to_list()
            if name in {"ts", "trade_count"}
            else pytest.approx(right[name].to_list(), rel=1e-12)
        )


@given(bars, splits, splits)
def test_folding_two_splits_is_folding_one_after_the_other(
    found: pl.DataFrame, one: Split, other: Split
) -> None:
    twice = fold(fold(found, [one], today=TODAY), [other], today=TODAY)
    assert_alike(twice, fold(found, [other, one], today=TODAY))


@given(bars, days, shares, shares, shares, shares)
def test_two_splits_of_one_day_are_one_split_of_their_product(
    found: pl.DataFrame, day: date, a: float, b: float, c: float, d: float
) -> None:
    twice = fold(fold(found, [Split(day, a, b)], today=TODAY), [Split(day, c, d)], today=TODAY)
    assert_alike(twice, fold(found, [Split(day, a * c, b * d)], today=TODAY))


@given(bars, st.lists(splits, max_size=6, unique_by=lambda split: split.day))
def test_price_times_volume_stays_what_it_was(found: pl.DataFrame, known: list[Split]) -> None:
    folded = fold(found, known, today=TODAY)
    for name in ("open", "high", "low", "close", "vwap"):
        raw = (found[name] * found["volume"]).to_list()
        assert (folded[name] * folded["volume"]).to_list() == pytest.approx(raw, rel=1e-12)
    assert folded.select("ts", "trade_count").equals(found.select("ts", "trade_count"))
    assert dict(folded.schema) == BAR_SCHEMA


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


def night(close: float, opens: float) -> list[Edges]:
    return [
        Edges(FIRST, close, close),
        Edges(FIRST + timedelta(days=3), opens, opens),
        Edges(FIRST + timedelta(days=4), opens, opens),
    ]


@pytest.mark.parametrize(
    ("close", "opens", "known", "doubt"),
    [
        (640.0, 65.0, [], Doubt.UNEXPLAINED),
        (22.0, 108.0, [], Doubt.UNEXPLAINED),
        (150.0, 101.0, [], Doubt.UNEXPLAINED),
        (640.0, 65.0, [(1, 10)], None),
        (640.0, 75.0, [(1, 10)], None),
        (22.0, 108.0, [(5, 1)], None),
        (640.0, 640.0, [(1, 10)], Doubt.NOT_SHOWN),
        (640.0, 6.4, [(1, 5)], Doubt.NOT_SHOWN),
        (100.0, 101.0, [], None),
        # A fall of a fifth is news, no split; a stock dividend of 5 % drowns in the night.
        (100.0, 80.0, [], None),
        (100.0, 99.0, [(20, 21)], None),
    ],
)
def test_a_jump_without_a_split_and_a_split_without_a_jump_are_found(
    close: float, opens: float, known: list[tuple[float, float]], doubt: Doubt | None
) -> None:
    # Executed on a day without a bar: the next one shows it.
    executed = [Split(FIRST + timedelta(days=2), *pair) for pair in known]
    found = findings(night(close, opens), executed)
    assert [(one.day, one.doubt) for one in found] == (
        [(FIRST + timedelta(days=3), doubt)] if doubt else []
    )
    assert all(one.ratio == pytest.approx(close / opens) for one in found)
