"""Resampling against a slow reference that walks each session in plain Python."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import Session, xnys
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Winter, summer, both sides of clock changes, half days in both seasons.
DAYS = [
    date(2025, 1, 8),
    date(2025, 3, 7),
    date(2025, 3, 10),
    date(2025, 7, 2),
    date(2025, 7, 3),
    date(2025, 10, 31),
    date(2025, 11, 3),
    date(2025, 11, 28),
]
DERIVED = [Timeframe.H1, Timeframe.H4]


def bar(ts: datetime, price: float = 10.0, **values: float | None) -> dict[str, Any]:
    flat = {"open": price, "high": price, "low": price, "close": price}
    return {"ts": ts, **flat, "volume": 100.0, "vwap": price, "trade_count": 3} | values


def frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=BAR_SCHEMA, orient="row")


def reference(
    rows: Sequence[dict[str, Any]], sessions: Sequence[Session], timeframe: Timeframe
) -> list[dict[str, Any]]:
    """Aggregate one bucket after the other, from each session's open to its close."""
    width = timedelta(minutes=timeframe.minutes)
    result = []
    for session in sessions:
        start = session.opens
        while start < session.closes:
            end = min(start + width, session.closes)
            held = [row for row in rows if start <= row["ts"] < end]
            if held:
                result.append(_merged(start, held))
            start += width
    return result


def _merged(start: datetime, held: Sequence[dict[str, Any]]) -> dict[str, Any]:
    weighted = [row for row in held if row["vwap"] is not None]
    shares = sum(row["volume"] for row in weighted)
    dollars = sum(row["vwap"] * row["volume"] for row in weighted)
    counts = [row["trade_count"] for row in held if row["trade_count"] is not None]
    return {
        "ts": start,
        "open": held[0]["open"],
        "high": max(row["high"] for row in held),
        "low": min(row["low"] for row in held),
        "close": held[-1]["close"],
        "volume": sum(row["volume"] for row in held),
        "vwap": dollars / shares if shares > 0 else None,
        "trade_count": sum(counts) if counts else None,
    }


def assert_same(found: pl.DataFrame, expected: Sequence[dict[str, Any]]) -> None:
    assert dict(found.schema) == BAR_SCHEMA
    rows = found.to_dicts()
    assert [row["ts"] for row in rows] == [row["ts"] for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        for name in ("open", "high", "low", "close", "trade_count"):
            assert row[name] == wanted[name], (name, row, wanted)
        for name in ("volume", "vwap"):
            if wanted[name] is None:
                assert row[name] is None
            else:
                assert math.isclose(row[name], wanted[name], rel_tol=1e-12)


def sessions_of(*days: date) -> list[Session]:
    found = [xnys().session(day) for day in days]
    assert all(found)
    return [session for session in found if session]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Session], list[dict[str, Any]]]:
    """Return sessions and bars from 04:00 to 20:00 around them, with gaps."""
    days = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True).map(sorted))
    sessions = sessions_of(*days)
    prices = st.floats(0.0001, 1e6)
    rows = []
    for session in sessions:
        slots = draw(st.sets(st.integers(-22, 41), max_size=40))
        for slot in sorted(slots):
            four = sorted(draw(st.tuples(prices, prices, prices, prices)))
            inner = draw(st.permutations(four[1:3]))
            rows.append(
                {
                    "ts": session.opens + slot * timedelta(minutes=15),
                    "open": inner[0],
                    "high": four[3],
                    "low": four[0],
                    "close": inner[1],
                    "volume": draw(st.one_of(st.just(0.0), st.floats(0, 1e9))),
                    "vwap": draw(st.one_of(st.none(), st.just(0.0), prices)),
                    "trade_count": draw(st.one_of(st.none(), st.integers(0, 10**9))),
                }
            )
    return sessions, rows


@settings(max_examples=80, deadline=None)
@given(histories(), st.sampled_from(DERIVED))
def test_every_bucket_equals_the_slow_reference(
    history: tuple[list[Session], list[dict[str, Any]]], timeframe: Timeframe
) -> None:
    sessions, rows = history
    assert_same(resample(frame(rows), sessions, timeframe), reference(rows, sessions, timeframe))


@pytest.mark.parametrize("day", DAYS)
def test_a_day_has_7_and_2_bars_a_half_day_4_and_1_winter_and_summer(day: date) -> None:
    sessions = sessions_of(day)
    m15 = frame(bar(at) for at in sessions[0].slot_starts())
    expected = {26: (7, 2), 14: (4, 1)}[sessions[0].slots]
    assert tuple(resample(m15, sessions, one).height for one in DERIVED) == expected


def test_the_last_bucket_is_short_and_all_start_from_the_open() -> None:
    sessions = sessions_of(date(2025, 7, 2))
    m15 = frame(bar(at, i + 1.0) for i, at in enumerate(sessions[0].slot_starts()))
    h4 = resample(m15, sessions, Timeframe.H4)
    assert h4["ts"].to_list() == [
        datetime(2025, 7, 2, 13, 30, tzinfo=UTC),
        datetime(2025, 7, 2, 17, 30, tzinfo=UTC),
    ]
    assert h4.select("open", "close", "volume").rows() == [(1, 16, 1600), (17, 26, 1000)]
    h1 = resample(m15, sessions, Timeframe.H1)
    assert h1["ts"][-1] == datetime(2025, 7, 2, 19, 30, tzinfo=UTC)
    assert h1["volume"].to_list() == [400.0] * 6 + [200.0]


def test_without_its_first_bar_a_bucket_still_starts_at_the_open() -> None:
    sessions = sessions_of(date(2025, 1, 8))
    m15 = frame(bar(at, i + 1.0) for i, at in enumerate(sessions[0].slot_starts()) if i > 1)
    h1 = resample(m15, sessions, Timeframe.H1)
    assert h1.row(0, named=True)["ts"] == sessions[0].opens
    assert h1.row(0, named=True)["open"] == 3.0
    assert h1.height == 7


def test_a_bucket_without_any_bar_is_absent_not_empty() -> None:
    sessions = sessions_of(date(2025, 1, 8))
    starts = sessions[0].slot_starts()
    m15 = frame(bar(at) for at in [*starts[:4], *starts[8:]])
    h1 = resample(m15, sessions, Timeframe.H1)
    assert starts[4] not in h1["ts"].to_list()
    assert h1.height == 6


def test_hours_before_the_open_and_after_the_close_are_left_out() -> None:
    session = sessions_of(date(2025, 7, 3))[0]  # closes at 13:00
    extended = [session.opens - timedelta(minutes=15), session.closes, session.closes + 8 * _HOUR]
    inside = session.slot_starts()
    m15 = frame(bar(at, 999.0 if at in extended else 10.0) for at in sorted([*extended, *inside]))
    for timeframe in DERIVED:
        assert resample(m15, [session], timeframe)["high"].max() == 10.0


def test_bars_of_days_that_are_not_asked_for_are_left_out() -> None:
    first, second, third = sessions_of(date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8))
    m15 = frame(bar(at) for one in (first, second, third) for at in one.slot_starts())
    h4 = resample(m15, [first, third], Timeframe.H4)
    assert {at.day for at in h4["ts"]} == {6, 8}


def test_vwap_is_weighted_by_the_volume_of_the_bars_that_have_one() -> None:
    session = sessions_of(date(2025, 1, 8))[0]
    starts = session.slot_starts()
    m15 = frame(
        [
            bar(starts[0], vwap=10.0, volume=1.0),
            bar(starts[1], vwap=None, volume=1e9),
            bar(starts[2], vwap=20.0, volume=3.0),
            bar(starts[4], vwap=None),
            bar(starts[8], vwap=5.0, volume=0.0),
        ]
    )
    assert resample(m15, [session], Timeframe.H1)["vwap"].to_list() == [17.5, None, None]


def test_trade_counts_are_summed_and_null_only_where_none_is_known() -> None:
    session = sessions_of(date(2025, 1, 8))[0]
    starts = session.slot_starts()
    counts = {0: 5, 1: None, 4: None, 5: None, 8: 0}
    m15 = frame(bar(starts[i], trade_count=count) for i, count in counts.items())
    assert resample(m15, [session], Timeframe.H1)["trade_count"].to_list() == [5, None, 0]


def test_nothing_in_gives_nothing_out_in_the_same_columns() -> None:
    session = sessions_of(date(2025, 1, 8))[0]
    some = frame([bar(session.opens)])
    outside = frame([bar(session.closes)])
    for m15, sessions in ((empty_bars(), [session]), (some, []), (outside, [session])):
        found = resample(m15, sessions, Timeframe.H1)
        assert found.is_empty()
        assert dict(found.schema) == BAR_SCHEMA


_HOUR = timedelta(hours=1)
