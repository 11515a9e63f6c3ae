"""Which bars are far from their symbol's own, and which only look so."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.by_session import of_sessions
from swiftbolt_assets.market.outliers import FAR_FROM_NEIGHBOURS, agrees, far
from swiftbolt_assets.market.sessions import Session, xnys
from swiftbolt_assets.market.splits import Split
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator

DAYS = xnys().between(date(2026, 1, 5), date(2026, 11, 20))
WINDOW = DAYS[:52]
PRICES = ("open", "high", "low", "close", "vwap")


def priced(
    draw: Generator, sessions: Sequence[Session], closes: np.ndarray, start: float
) -> pl.DataFrame:
    """Return bars of regular hours around given closes; the open is the close before, nearly."""
    ts = [slot for session in sessions for slot in session.slot_starts()]
    opens = np.r_[start, closes[:-1]] * np.exp(0.0005 * draw.standard_normal(len(ts)))
    # A night's move happens before the open.
    first = np.cumsum([0, *(session.slots for session in sessions)])[:-1]
    opens[first] = closes[first] * np.exp(0.002 * draw.standard_normal(len(first)))
    wick = np.exp(np.abs(0.001 * draw.standard_t(3, (2, len(ts)))))
    high, low = np.maximum(opens, closes) * wick[0], np.minimum(opens, closes) / wick[1]
    columns = {"ts": ts, "open": opens, "high": high, "low": low, "close": closes}
    volume = 1e4 * np.exp(draw.standard_normal(len(ts)))
    rest = {"volume": volume, "vwap": (high + low) / 2, "trade_count": [50] * len(ts)}
    return pl.DataFrame(columns | rest, schema=BAR_SCHEMA)


def walked(
    draw: Generator, sessions: Sequence[Session], *, daily: float = 0.02, start: float = 50.0
) -> pl.DataFrame:
    """Return a fat-tailed walk (Student's t, 3 degrees), with four nights of 20 % a year."""
    slots = [session.slots for session in sessions]
    moves = draw.standard_t(3, sum(slots)) * daily / np.sqrt(3 * 26)
    nights = np.cumsum([0, *slots])[:-1]
    moves[nights] += draw.standard_t(3, len(nights)) * daily / np.sqrt(3) / 2
    wild = draw.random(len(nights)) < 4 / 252
    moves[nights] += wild * draw.choice([-0.2, 0.2], len(nights))
    return priced(draw, sessions, start * np.exp(np.cumsum(moves)), start)


def times(bars: pl.DataFrame, rows: slice, factor: float, *names: str) -> pl.DataFrame:
    """Return bars some of whose columns are multiplied in some rows."""
    here = pl.int_range(pl.len()).is_in(list(range(bars.height))[rows])
    return bars.with_columns(
        pl.when(here).then(pl.col(name) * factor).otherwise(name).alias(name)
        for name in names or PRICES
    )


def rows_of(bars: pl.DataFrame, found: pl.DataFrame) -> list[int]:
    return bars.with_row_index().join(found, on="ts", how="semi")["index"].to_list()


@pytest.fixture
def draw() -> Generator:
    return np.random.default_rng(31_415)


@pytest.fixture
def bars(draw: Generator) -> pl.DataFrame:
    return walked(draw, WINDOW)


def test_what_is_far_comes_as_a_reject_with_the_price_and_its_level(bars: pl.DataFrame) -> None:
    spoilt = times(bars, slice(700, 701), 100, "high")
    found = far(spoilt, WINDOW)
    assert dict(found.schema) == REJECT_SCHEMA
    high, level = spoilt["high"][700], max(spoilt["close"][699:702])
    assert found.drop("bar").rows() == [
        (bars["ts"][700], FAR_FROM_NEIGHBOURS, f"high={high:.10g} against {level:.6g}")
    ]
    whole = json.loads(found["bar"][0])
    assert list(whole) == list(BAR_SCHEMA)
    assert whole["high"] == high


@pytest.mark.parametrize("factor", [100, 10, 5, 3])
@pytest.mark.parametrize(
    ("names", "up"),
    [
        (("high",), True),
        (("low",), False),
        (("open", "high"), True),
        (("open", "low"), False),
        (("close", "high"), True),
        (("close", "low"), False),
        (("vwap",), True),
        (("vwap",), False),
        (PRICES, True),
        (PRICES, False),
    ],
)
def test_a_bar_with_prices_off_by_three_or_more_is_far(
    bars: pl.DataFrame,
    names: tuple[str, ...],
    up: bool,  # noqa: FBT001 - a parameter of the test
    factor: float,
) -> None:
    for at in (1, 25, 26, 400, 1_000, bars.height - 2):
        spoilt = times(bars, slice(at, at + 1), factor if up else 1 / factor, *names)
        assert rows_of(bars, far(spoilt, WINDOW)) == [at]


@pytest.mark.parametrize("factor", [3, 10, 1 / 10, 1 / 100])
@pytest.mark.parametrize(("first", "end"), [(300, 302), (300, 313), (310, 340), (520, 546)])
def test_bars_in_a_row_and_a_whole_session_are_far(
    bars: pl.DataFrame, first: int, end: int, factor: float
) -> None:
    spoilt = times(bars, slice(first, end), factor)
    assert rows_of(bars, far(spoilt, WINDOW)) == list(range(first, end))


def test_several_spikes_near_each_other_are_all_far(bars: pl.DataFrame) -> None:
    spoilt = bars
    for at, factor in ((100, 10), (101, 100), (103, 10), (106, 0.01), (300, 7)):
        spoilt = times(spoilt, slice(at, at + 1), factor)
    assert rows_of(bars, far(spoilt, WINDOW)) == [100, 101, 103, 106, 300]


@pytest.mark.parametrize("count", [2, 3, 52])
@pytest.mark.parametrize("factor", [20, 1 / 20])
def test_the_newest_session_at_another_level_is_far_unless_a_known_split_explains_it(
    draw: Generator, count: int, factor: float
) -> None:
    sessions = DAYS[:count]
    bars = walked(draw, sessions)
    size = sessions[-1].slots
    spoilt = times(bars, slice(-size, None), factor)
    newest = set(range(bars.height - size, bars.height))
    assert newest <= set(rows_of(bars, far(spoilt, sessions)))
    day = sessions[-1].day
    for listed in (day, day - timedelta(days=3), day + timedelta(days=1)):
        assert far(spoilt, sessions, [Split(listed, factor, 1)]).is_empty()
    others = [Split(day, 1, factor), Split(day, 1.5, 1), Split(day - timedelta(days=40), factor, 1)]
    for split in others:
        assert newest <= set(rows_of(bars, far(spoilt, sessions, [split])))


def test_the_first_session_at_another_level_is_far_unless_a_split_follows_it(
    bars: pl.DataFrame,
) -> None:
    spoilt = times(bars, slice(26), 10)
    assert rows_of(bars, far(spoilt, WINDOW)) == list(range(26))
    assert far(spoilt, WINDOW, [Split(WINDOW[1].day, 1, 10)]).is_empty()


@pytest.mark.parametrize("factor", [100, 1 / 100, 12, 1 / 4.5, 1000])
@pytest.mark.parametrize(("first", "sessions"), [(10, 4), (2, 23), (30, 20), (2, 47)])
def test_another_unit_of_money_is_far_however_long_it_lasts_unless_splits_explain_it(
    bars: pl.DataFrame, first: int, sessions: int, factor: float
) -> None:
    rows = slice(26 * first, 26 * (first + sessions))
    spoilt = times(bars, rows, factor)
    assert rows_of(bars, far(spoilt, WINDOW)) == list(range(rows.start, rows.stop))
    # Spikes within do not hide it.
    spiked = times(spoilt, slice(rows.start + 40, rows.start + 42), 7)
    assert rows_of(bars, far(spiked, WINDOW)) == list(range(rows.start, rows.stop))
    for day in (WINDOW[first].day, WINDOW[first + sessions].day):
        moved = factor if day == WINDOW[first].day else 1 / factor
        assert far(spoilt, WINDOW, [Split(day, moved, 1)]).is_empty()


@pytest.mark.parametrize("factor", [1.9, 1 / 1.9, 1.6])
@pytest.mark.parametrize(("first", "end"), [(300, 301), (400, 407), (520, 546)])
def test_of_a_calm_symbol_less_than_a_factor_of_two_is_far(
    draw: Generator, first: int, end: int, factor: float
) -> None:
    calm = walked(draw, WINDOW, daily=0.005)
    assert far(calm, WINDOW).is_empty()
    spoilt = times(calm, slice(first, end), factor)
    assert rows_of(calm, far(spoilt, WINDOW)) == list(range(first, end))
    wild = times(walked(draw, WINDOW, daily=0.06), slice(first, end), factor)
    assert far(wild, WINDOW).is_empty()


@pytest.mark.parametrize("factor", [1.5, 2.5, 3.5])
def test_weeks_of_a_craze_are_not_far(bars: pl.DataFrame, factor: float) -> None:
    assert far(times(bars, slice(26 * 10, 26 * 20), factor), WINDOW).is_empty()


def test_what_falls_back_by_another_factor_is_not_far(bars: pl.DataFrame) -> None:
    up = times(bars, slice(26 * 10, None), 6)
    assert far(times(up, slice(26 * 20, None), 1 / 4.1), WINDOW).is_empty()


@pytest.mark.parametrize("at", [26, 26 * 5, 26 * 5 + 7, 26 * 50])
@pytest.mark.parametrize("factor", [2.5, 10, 1 / 10, 1 / 180, 50])
def test_what_moves_and_stays_is_not_far(bars: pl.DataFrame, at: int, factor: float) -> None:
    if at == 26 and not 1 / 4 < factor < 4:
        return  # a first session alone at another level is told above
    assert far(times(bars, slice(at, None), factor), WINDOW).is_empty()


def test_news_at_the_newest_open_is_not_far(bars: pl.DataFrame) -> None:
    assert far(times(bars, slice(-26, None), 2.5), WINDOW).is_empty()


def test_a_spike_beside_a_split_is_still_far(bars: pl.DataFrame) -> None:
    split = times(bars, slice(780, None), 1 / 10)
    for at in (760, 779, 780, 781, 800):
        spoilt = times(split, slice(at, at + 1), 30, "high")
        assert rows_of(bars, far(spoilt, WINDOW)) == [at]


def test_a_climb_to_five_times_the_price_in_weeks_is_not_far(draw: Generator) -> None:
    for seed in range(5):
        steady = walked(np.random.default_rng(seed), WINDOW)
        climb = np.exp(np.linspace(0, np.log(5), 400))
        path = np.r_[np.ones(300), climb, np.full(steady.height - 700, 5.0)]
        closes = steady["close"].to_numpy() * path
        assert far(priced(draw, WINDOW, closes, 50.0), WINDOW).is_empty()


def test_the_day_of_a_listing_is_not_far(draw: Generator) -> None:
    first = np.r_[1, 1.4, 1.9, 2.3, 2.1, 1.7, 1.5, 1.6] * 40
    rest = 62 * np.exp(np.cumsum(draw.standard_t(3, 26 * 3 - len(first)) * 0.01))
    assert far(priced(draw, DAYS[:3], np.r_[first, rest], 38.0), DAYS[:3]).is_empty()


def test_shares_that_step_by_ticks_are_not_far() -> None:
    for seed in range(20):
        draw = np.random.default_rng(seed)
        level = np.cumsum(draw.choice([-1, 0, 0, 0, 0, 1], 26 * 52))
        ticks = np.abs(level % 16 - 8) + draw.choice([0, 0, 0, 1, 2], len(level)) + 1
        closes = ticks * 0.0001
        highs = closes + draw.choice([0, 0, 1, 3], len(closes)) * 0.0001
        bars = priced(draw, WINDOW, closes, closes[0]).with_columns(
            open=pl.Series(closes), low=pl.Series(closes), high=pl.Series(highs)
        )
        assert far(bars, WINDOW).is_empty()
        assert rows_of(bars, far(times(bars, slice(500, 501), 100), WINDOW)) == [500]


@pytest.mark.parametrize("at", [0, 13, 700])
def test_a_volume_a_million_times_the_symbols_own_is_far(bars: pl.DataFrame, at: int) -> None:
    found = far(times(bars, slice(at, at + 1), 1e6, "volume"), WINDOW)
    assert rows_of(bars, found) == [at]
    assert found["value"][0].startswith("volume=")
    assert far(times(bars, slice(at, at + 1), 300, "volume"), WINDOW).is_empty()


def test_a_session_of_volumes_in_another_unit_is_far(bars: pl.DataFrame) -> None:
    found = far(times(bars, slice(260, 286), 1e6, "volume"), WINDOW)
    assert rows_of(bars, found) == list(range(260, 286))


def test_no_bars_and_one_bar_are_held_against_nothing(bars: pl.DataFrame) -> None:
    assert far(empty_bars(), WINDOW).is_empty()
    assert far(bars.head(1), WINDOW).is_empty()
    assert dict(far(empty_bars(), WINDOW).schema) == REJECT_SCHEMA


@pytest.mark.parametrize("vwap", [None, 0.0])
def test_an_absent_vwap_is_not_far(bars: pl.DataFrame, vwap: float | None) -> None:
    some = pl.int_range(pl.len()) % 7 == 0
    changed = bars.with_columns(vwap=pl.when(some).then(vwap).otherwise("vwap"))
    assert far(changed, WINDOW).is_empty()
    assert rows_of(bars, far(times(changed, slice(8, 9), 10), WINDOW)) == [8]


_any_price = st.floats(0.0001, 9.9e6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(*[_any_price] * 4, st.floats(0, 9e10)), max_size=78))
def test_of_any_sound_bars_each_is_named_once_at_most_and_in_order(
    rows: list[tuple[float, ...]],
) -> None:
    slots = [slot for session in DAYS[:3] for slot in session.slot_starts()]
    sound = [
        {"ts": ts, "open": row[1], "high": max(row[:4]), "low": min(row[:4]), "close": row[2]}
        | {"volume": row[4], "vwap": row[3], "trade_count": None}
        for ts, row in zip(slots, rows, strict=False)
    ]
    bars = pl.DataFrame(sound, schema=BAR_SCHEMA, orient="row")
    found = far(bars, DAYS[:3])
    assert found["ts"].is_sorted()
    assert found["ts"].n_unique() == found.height
    assert set(found["ts"]) <= set(bars["ts"])


@pytest.mark.parametrize("daily", [0.005, 0.01, 0.02, 0.04, 0.06])
def test_in_a_hundred_years_of_fat_tails_no_honest_bar_is_far(daily: float) -> None:
    draw = np.random.default_rng(int(daily * 1e4))
    year = DAYS[:208]
    alarms = 0
    for _ in range(25 * 252 // 208 + 1):
        bars = walked(draw, year, daily=daily)
        alarms += sum(
            far(of_sessions(bars, part), part).height
            for part in (year[at : at + 52] for at in range(0, 208, 52))
        )
    assert alarms == 0


@pytest.mark.parametrize("factor", [3.0, 5.0, 30.0])
def test_99_of_100_isolated_spikes_of_factor_three_or_more_are_far(factor: float) -> None:
    draw = np.random.default_rng(27_182)
    names = [("high",), ("low",), ("open", "high"), ("close", "low"), PRICES]
    found = tried = 0
    for _ in range(40):
        daily = float(draw.choice([0.01, 0.02, 0.04]))
        bars = walked(draw, WINDOW, daily=daily, start=float(draw.choice([2.0, 50.0, 900.0])))
        for at in draw.integers(0, bars.height, 10).tolist():
            chosen = names[int(draw.integers(len(names)))]
            change = 1 / factor if "low" in chosen and chosen != PRICES else factor
            spoilt = times(bars, slice(at, at + 1), change, *chosen)
            flagged = rows_of(bars, far(spoilt, WINDOW))
            assert set(flagged) <= {at}
            found, tried = found + len(flagged), tried + 1
    assert found >= 0.99 * tried


@pytest.mark.parametrize(
    "symbol", ["AAPL", "BRK.B", "MIDL", "THIN", "HALT", "NEWCO", "SPLT", "REVS", "QWE"]
)
def test_no_bar_of_two_simulated_years_is_far_in_regular_or_all_hours(
    simulated: Callable[[str, Sequence[Session]], pl.DataFrame], symbol: str
) -> None:
    days = xnys().between(date(2024, 11, 22), date(2026, 11, 20))
    for at in range(0, len(days), 52):
        sessions = days[at : at + 52]
        bars = simulated(symbol, sessions)
        for part in (bars, of_sessions(bars, sessions)):
            assert far(part, sessions).is_empty()
            if part.height > 100:
                spoilt = times(part, slice(60, 61), 100, "high")
                assert rows_of(part, far(spoilt, sessions)) == [60]


def bar(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    prices = {"open": 10.0, "high": 1000.0, "low": 9.0, "close": 11.0, "volume": 100.5}
    return prices | {"vwap": 10.0, "trade_count": 5} | changes


def test_a_second_answer_agrees_when_prices_and_volume_are_the_same() -> None:
    assert agrees(bar(), bar())
    assert agrees(bar(), bar(high=1000.0 + 1e-8, vwap=None, trade_count=6))
    for name in ("open", "high", "low", "close", "volume"):
        assert not agrees(bar(), bar(**{name: bar()[name] * 1.0001}))
