"""The minute bars under both wire formats."""

from __future__ import annotations

import time
from datetime import date

import numpy as np
import pytest

from swiftbolt_assets.simulator.calendar import sessions
from swiftbolt_assets.simulator.listings import Listings, Split
from swiftbolt_assets.simulator.prices import Bars, Market

LISTINGS = Listings({})
YEAR = [one.day for one in sessions(date(2026, 1, 2), date(2026, 11, 19))]


def bars_of(symbol: str, day: date, seed: int = 1) -> Bars:
    listing = LISTINGS.find(symbol)
    assert listing is not None
    return Market(seed).day(listing, day)


def counts(symbol: str, days: list[date]) -> list[int]:
    return [len(bars_of(symbol, day)) for day in days]


def test_a_dense_symbol_has_960_minutes_a_session_and_780_on_a_half_day() -> None:
    assert counts("AAPL", [date(2025, 11, 26), date(2025, 11, 28)]) == [960, 780]
    assert counts("AAPL", [date(2025, 11, 27), date(2025, 11, 29)]) == [0, 0]


def test_a_liquid_symbol_has_about_700_and_every_regular_minute() -> None:
    assert 680 < np.mean(counts("MIDL", YEAR[:20])) < 720
    bars = bars_of("MIDL", date(2026, 6, 1))
    minute = (bars.t - bars.t[0] // 86_400_000 * 86_400_000) // 60_000
    regular = (minute >= 13 * 60 + 30) & (minute < 20 * 60)
    assert regular.sum() == 390


def test_a_sparse_symbol_has_about_40_lacks_quarter_hours_and_some_sessions() -> None:
    found = counts("THIN", YEAR)
    assert 35 < np.mean([count for count in found if count]) < 45
    assert 3 < found.count(0) < 25
    bars = bars_of("THIN", next(day for day in YEAR if bars_of("THIN", day).t.size))
    assert len(set((bars.t // 900_000).tolist())) < 35


def test_prices_are_plausible_and_consistent() -> None:
    closes = []
    for day in YEAR:
        bars = bars_of("AAPL", day)
        assert (bars.l <= np.minimum(bars.o, bars.c)).all()
        assert (bars.h >= np.maximum(bars.o, bars.c)).all()
        assert (bars.l > 0).all()
        assert (bars.v > 0).all()
        closes.append(bars.c[-1])
    deviation = np.std(np.diff(np.log(closes)))
    assert 0.008 < deviation < 0.025
    steps = np.abs(np.diff(np.log(bars_of("AAPL", YEAR[5]).c)))
    assert steps.max() < 0.02


def test_the_minute_of_the_close_is_the_auction_print() -> None:
    bars = bars_of("AAPL", date(2026, 6, 1))
    at = (16 - 4) * 60
    assert bars.o[at] == bars.h[at] == bars.l[at] == bars.c[at]
    assert bars.v[at] == bars.v.max()


def test_volumes_carry_fractions_from_2026_02_23_on() -> None:
    assert (bars_of("AAPL", date(2026, 2, 20)).v % 1 == 0).all()
    assert 0 < (bars_of("AAPL", date(2026, 2, 23)).v % 1 > 0).sum() < 40


def test_some_vwaps_lie_outside_the_range_of_their_bar() -> None:
    odd = [(bars.vw > bars.h).sum() for bars in (bars_of("AAPL", day) for day in YEAR[:30])]
    assert 15 <= sum(odd) < 300


def test_halts_leave_a_hole_and_a_whole_day() -> None:
    assert counts("HALT", [date(2026, 3, 11), date(2026, 9, 16)]) == [960 - 105, 0]


def test_a_symbol_has_nothing_before_its_listing() -> None:
    assert counts("NEWCO", [date(2025, 6, 13), date(2025, 6, 16)]) == [0, 960]


@pytest.mark.parametrize("symbol", ["ZZTOP", "aapl", "", "A B", "A.B.C.D", "ÄÄÄ"])
def test_what_is_no_listed_ticker_does_not_exist(symbol: str) -> None:
    assert LISTINGS.find(symbol) is None


@pytest.mark.parametrize(
    ("symbol", "before", "day", "ratio"),
    [
        ("SPLT", date(2025, 9, 5), date(2025, 9, 8), 10),
        ("REVS", date(2026, 1, 30), date(2026, 2, 2), 0.2),
    ],
)
def test_raw_prices_jump_at_a_split_and_adjusted_ones_do_not(
    symbol: str, before: date, day: date, ratio: float
) -> None:
    listing = LISTINGS.find(symbol)
    assert listing is not None
    market = Market(1)
    old, new = market.day(listing, before), market.day(listing, day)
    assert old.c[-1] / new.o[0] == pytest.approx(ratio, rel=0.05)
    adjusted = market.adjusted(old, listing, before, day)
    assert adjusted.c[-1] == pytest.approx(new.o[0], rel=0.05)
    assert adjusted.v.sum() == pytest.approx(old.v.sum() * ratio)
    assert market.adjusted(old, listing, before, before) is old


def test_a_split_can_be_added_to_any_symbol() -> None:
    listings = Listings({"AAPL": (Split(date(2026, 6, 1), 1, 4),)})
    listing = listings.find("AAPL")
    assert listing is not None
    before = Market(1).day(listing, date(2026, 5, 29)).c[-1]
    plain = bars_of("AAPL", date(2026, 5, 29)).c[-1]
    assert before == pytest.approx(plain * 4, rel=0.001)


def test_a_day_depends_on_the_seed_and_not_on_the_days_made_before() -> None:
    listing = LISTINGS.find("MSFT")
    assert listing is not None
    market = Market(7)
    for day in YEAR[:5]:
        market.day(listing, day)
    fresh = Market(7).day(listing, YEAR[4])
    for name in ("t", "o", "h", "l", "c", "v", "vw", "n"):
        assert (getattr(market.day(listing, YEAR[4]), name) == getattr(fresh, name)).all()
    assert (bars_of("MSFT", YEAR[4], seed=8).c != fresh.c).any()


def test_the_running_minute_is_partial_and_later_ones_do_not_exist() -> None:
    listing = LISTINGS.find("AAPL")
    assert listing is not None
    market = Market(1)
    day = date(2026, 6, 1)
    whole = market.day(listing, day)
    at = 400
    bars = market.until(listing, day, int(whole.t[at]) + 15_000)
    assert len(bars) == at + 1
    assert (bars.v[:at] == whole.v[:at]).all()
    assert bars.v[at] == max(1, np.floor(whole.v[at] / 4))
    assert bars.o[at] == whole.o[at]
    assert len(market.until(listing, day, int(whole.t[at]))) == at


def test_52_sessions_of_minutes_are_made_within_their_time() -> None:
    listing = LISTINGS.find("AAPL")
    assert listing is not None
    seconds = []
    for seed in (1, 2, 3):
        market = Market(seed)
        began = time.perf_counter()
        made = sum(len(market.day(listing, day)) for day in YEAR[:52])
        seconds.append(time.perf_counter() - began)
        assert made == 52 * 960
    assert min(seconds) < 0.3
