"""Which replies contradict what is stored as a whole, and which only correct it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.by_session import of_sessions
from swiftbolt_assets.market.coverage import SessionCoverage, State
from swiftbolt_assets.market.overlap import (
    CONTRADICTED,
    CONTRADICTS_STORED,
    as_suspects,
    contested,
    contradicting,
)
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator

    from swiftbolt_assets.market.sessions import Session

DAYS = xnys().between(date(2026, 3, 2), date(2026, 8, 31))
#: Three stored sessions and a new one, as in a night.
NIGHT = DAYS[40:44]
OLD = NIGHT[:3]
PRICES = ("open", "high", "low", "close", "vwap")


def traded(
    draw: Generator, sessions: Sequence[Session], *, chance: float = 1.0, price: float = 40.0
) -> pl.DataFrame:
    """Return bars of regular hours: a walk of four decimals, whole shares."""
    slots = [slot for session in sessions for slot in session.slot_starts()]
    kept = [slot for slot in slots if draw.random() < chance]
    closes = price * np.exp(np.cumsum(0.003 * draw.standard_t(3, len(kept))))
    opens = closes * np.exp(0.002 * draw.standard_normal(len(kept)))
    wick = np.exp(np.abs(0.002 * draw.standard_normal((2, len(kept)))))
    high, low = np.maximum(opens, closes) * wick[0], np.minimum(opens, closes) / wick[1]
    volume = np.ceil(8e3 * np.exp(draw.standard_normal(len(kept))))
    rest = {"volume": volume, "vwap": (high + low) / 2, "trade_count": [9] * len(kept)}
    columns = {"ts": kept, "open": opens, "high": high, "low": low, "close": closes}
    return pl.DataFrame(columns | rest, schema=BAR_SCHEMA).with_columns(pl.col(*PRICES).round(4))


def times(factor: float, *names: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda bars: bars.with_columns(pl.col(*names) * factor)


def later(minutes: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda bars: bars.with_columns(pl.col("ts").dt.offset_by(f"{minutes}m"))


def a_session_later(bars: pl.DataFrame) -> pl.DataFrame:
    parts = []
    for one, following in pairwise(NIGHT):
        day = of_sessions(bars, [one])
        parts.append(day.with_columns(pl.col("ts") + (following.opens - one.opens)))
    return pl.concat(parts)


WRONG = {
    "cents": times(100, *PRICES),
    "tenths": times(0.1, *PRICES),
    "a split too many": times(1.5, *PRICES),
    "highs": times(1.9, "high"),
    "thousands of shares": times(1000, "volume"),
    "lots": times(0.01, "volume"),
    "split volume": times(3, "volume"),
    "an hour late": later(60),
    "an hour early": later(-60),
    "a quarter late": later(15),
    "half an hour early": later(-30),
    "a session late": a_session_later,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_reply_wrong_as_a_whole_contradicts_all_that_it_speaks_of(name: str) -> None:
    for seed in range(20):
        truth = traded(np.random.default_rng(seed), NIGHT)
        reply = of_sessions(WRONG[name](truth), NIGHT)
        found = contradicting(reply, of_sessions(truth, OLD), NIGHT)
        held = {session.day for session in NIGHT[1 if name == "a session late" else 0 :]}
        assert held <= found.keys(), found
        assert all("\n" not in why for why in found.values())


@pytest.mark.parametrize("name", ["cents", "lots", "an hour late", "half an hour early"])
def test_a_thin_symbols_reply_is_told_by_all_of_its_bars_together(name: str) -> None:
    for seed in range(20):
        truth = traded(np.random.default_rng(seed), NIGHT, chance=0.4)
        reply = of_sessions(WRONG[name](truth), NIGHT)
        assert NIGHT[-1].day in contradicting(reply, of_sessions(truth, OLD), NIGHT)


def test_one_session_alone_that_contradicts_leaves_the_others_believed() -> None:
    truth = traded(np.random.default_rng(5), NIGHT)
    first = of_sessions(truth, [NIGHT[0]])
    reply = pl.concat([times(100, *PRICES)(first), of_sessions(truth, NIGHT[1:])])
    found = contradicting(reply, of_sessions(truth, OLD), NIGHT)
    assert found == {NIGHT[0].day: "most prices differ, 100 times the stored ones at the median"}


def corrected(draw: Generator, bars: pl.DataFrame) -> pl.DataFrame:
    """Return what an honest provider may have made of bars it has delivered before."""
    size = bars.height
    kind = int(draw.integers(6))
    some = pl.Series(draw.random(size) < 0.25)
    if kind == 0:  # some bars with any other values
        changed = times(float(draw.choice([0.7, 1.3, 3.0])), *PRICES, "volume")(bars)
        few = pl.Series(draw.random(size) < 0.05)
        return bars.with_columns(
            pl.when(few).then(changed[name]).otherwise(pl.col(name)).alias(name)
            for name in (*PRICES, "volume")
        )
    if kind == 1:  # all prices by up to a hundredth
        noise = pl.Series(1 + 0.01 * draw.uniform(-1, 1, size))
        return bars.with_columns((pl.col(*PRICES) * noise).round(4))
    if kind == 2:  # late trades everywhere
        more = pl.Series(np.floor(bars["volume"].to_numpy() * draw.uniform(0, 0.6, size)))
        return bars.with_columns(volume=pl.col("volume") + more)
    if kind == 3:  # trades were broken
        less = pl.Series(np.ceil(bars["volume"].to_numpy() * draw.uniform(0.6, 1, size)))
        return bars.with_columns(volume=less)
    if kind == 4:  # bars come late
        return bars.filter(~some)
    return bars


@pytest.mark.parametrize(("chance", "price"), [(1.0, 40.0), (1.0, 900.0), (0.5, 8.0), (0.12, 3.0)])
def test_of_thousands_of_honest_replies_none_contradicts(chance: float, price: float) -> None:
    draw = np.random.default_rng(int(1000 * chance))
    alarms = 0
    for _ in range(1000):
        at = int(draw.integers(len(DAYS) - 4))
        night = DAYS[at : at + 4]
        truth = traded(draw, night, chance=chance, price=price)
        before = of_sessions(truth, night[: int(draw.integers(1, 5))])
        alarms += bool(contradicting(corrected(draw, truth), before, night))
        alarms += bool(contradicting(truth, corrected(draw, before), night))
    assert alarms == 0


def test_pennies_that_step_by_ticks_and_equal_volumes_do_not_contradict() -> None:
    draw = np.random.default_rng(77)
    for _ in range(200):
        truth = traded(draw, NIGHT)
        cheap = pl.Series(draw.integers(2, 6, truth.height) * 1e-4)
        truth = truth.with_columns(cheap.alias(name) for name in PRICES)
        truth = truth.with_columns(volume=pl.Series(draw.choice([100.0, 200.0], truth.height)))
        step = pl.Series(draw.integers(-1, 2, truth.height) * 1e-4)
        reply = truth.with_columns(pl.col(*PRICES) + step)
        assert contradicting(reply, of_sessions(truth, OLD), NIGHT) == {}


def test_a_split_changes_no_raw_price_of_the_sessions_before_it() -> None:
    truth = traded(np.random.default_rng(9), NIGHT)
    newest = of_sessions(truth, NIGHT[3:])
    split = times(20, *PRICES)(times(1 / 20, "volume")(newest))
    reply = pl.concat([of_sessions(truth, OLD), split])
    assert contradicting(reply, of_sessions(truth, OLD), NIGHT) == {}
    # Folding what was traded is what a raw reply must not do.
    folded = pl.concat([times(20, *PRICES)(of_sessions(truth, OLD)), split])
    assert len(contradicting(folded, of_sessions(truth, OLD), NIGHT)) == 4


def test_nothing_stored_or_delivered_contradicts_nothing() -> None:
    truth = traded(np.random.default_rng(11), NIGHT)
    assert contradicting(truth, empty_bars(), NIGHT) == {}
    assert contradicting(empty_bars(), truth, NIGHT) == {}


def test_what_waits_are_the_delivered_bars_that_are_not_stored_so() -> None:
    truth = traded(np.random.default_rng(13), NIGHT)
    stored = of_sessions(truth, OLD)
    reply = pl.concat([truth[:3], times(10, *PRICES)(truth[3:])])
    reasons = contradicting(reply, stored, NIGHT)
    waiting = as_suspects(reply, stored, NIGHT, reasons)
    assert dict(waiting.schema) == REJECT_SCHEMA
    assert waiting["ts"].to_list() == truth["ts"][3:].to_list()
    assert set(waiting["rule"]) == {CONTRADICTS_STORED}
    assert as_suspects(stored, stored, NIGHT, reasons).is_empty()


def test_a_contested_session_keeps_what_was_known_and_is_asked_for_until_the_ladder_ends() -> None:
    now = datetime(2026, 5, 5, 2, tzinfo=UTC)
    row = SessionCoverage(OLD[0].day, State.FINAL, None, 26, 26, 1)
    slots = OLD[0].slot_starts()[:9]
    found = contested(row, slots, now)
    assert (found.state, found.bars, found.answers) == (State.FINAL, 26, 2)
    assert found.marks == dict.fromkeys(slots, CONTRADICTED)
    assert found.again_at == now + timedelta(minutes=10)
    asked = 1
    while found.again_at is not None:
        now, asked = found.again_at, asked + 1
        found = contested(found, slots, now)
    assert asked == 6
