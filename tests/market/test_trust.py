"""Which replies are believed as a whole: honest ones of every kind, and none that is shifted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.by_session import of_sessions
from swiftbolt_assets.market.sessions import Session, xnys
from swiftbolt_assets.market.trust import distrust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator

#: Quarter hours after midnight in New York: 04:00, 09:30, 16:00, 17:00, 20:00.
FOUR, OPEN, CLOSE, EARLY, EIGHT = 16, 38, 64, 68, 80
CALENDAR = xnys()


@dataclass
class Kind:
    """How a generated symbol trades: shares a regular quarter hour, and chances of a bar."""

    shares: float
    regular: float
    extended: float
    wild: Callable[[Generator, np.ndarray, int], None] | None = None


def sessions_of(first: date, count: int) -> list[Session]:
    return CALENDAR.between(first, first + timedelta(days=2 * count + 10))[:count]


def generated(draw: Generator, kind: Kind, sessions: Sequence[Session]) -> pl.DataFrame:
    """Return a reply's bars: U-shaped days, an auction at the close, thin extended hours."""
    parts = []
    for session in sessions:
        slots, day = np.arange(96), np.zeros(96)
        close = OPEN + session.slots
        last = EIGHT if close == CLOSE else EARLY
        across = np.abs((slots - OPEN) / session.slots * 2 - 1)
        regular = (slots >= OPEN) & (slots < close)
        noise = np.exp(draw.standard_normal(96) * draw.uniform(0.4, 0.9))
        day = np.where(regular, (0.5 + across**2) * noise, 0.02 * noise**2) * kind.shares
        day[close] = kind.shares * session.slots * draw.choice([0.05, 0.1, 0.4])
        chance = np.where(regular, kind.regular, kind.extended)
        day[(slots < FOUR) | (slots >= last) | (draw.random(96) >= chance)] = 0
        if kind.wild is not None:
            kind.wild(draw, day, close)
        found = np.flatnonzero(day)
        midnight = session.opens - timedelta(hours=9.5)
        parts += [(midnight + int(at) * timedelta(minutes=15), float(day[at])) for at in found]
    if not parts:
        return empty_bars()
    ts, volume = zip(*parts, strict=True)
    frame = {name: [10.0] * len(ts) for name in BAR_SCHEMA if name != "trade_count"}
    return pl.DataFrame(
        frame | {"ts": list(ts), "volume": list(volume), "trade_count": [5] * len(ts)},
        schema=BAR_SCHEMA,
    )


def earnings(draw: Generator, day: np.ndarray, close: int) -> None:
    if draw.random() < 0.3:
        day[close : close + 12] += day[OPEN:close].max() * np.exp(-np.arange(12) / 3)


def busy_before_the_open_then_halted(draw: Generator, day: np.ndarray, close: int) -> None:
    if draw.random() < 0.04:
        day[FOUR:OPEN] = day[OPEN:close].max() * draw.random(OPEN - FOUR)
        day[OPEN + 1 : close + 8] = 0


def resumes_late(draw: Generator, day: np.ndarray, _close: int) -> None:
    if draw.random() < 0.2:
        day[FOUR : OPEN + int(draw.integers(4, 20))] = 0


def stray_prints(draw: Generator, day: np.ndarray, _close: int) -> None:
    for at in draw.integers(0, 96, 2):
        day[at] += 50


def around_the_clock(draw: Generator, day: np.ndarray, _close: int) -> None:
    night = np.r_[0:FOUR, EIGHT:96]
    day[night] = day[OPEN] * 0.02 * draw.random(len(night))


def blocks_after_the_close(draw: Generator, day: np.ndarray, close: int) -> None:
    if draw.random() < 0.5:
        day[close + int(draw.integers(1, 9))] += day.sum() * 3


KINDS = {
    "dense": Kind(2e6, 1, 1),
    "liquid": Kind(2e4, 1, 0.5),
    "regular hours only": Kind(2e5, 1, 0),
    "thin": Kind(300, 0.6, 0.1),
    "handful": Kind(100, 0.1, 0.03),
    "night trader": Kind(200, 0.3, 0.3),
    "earnings": Kind(1e6, 1, 0.9, earnings),
    "news and a halt": Kind(1e5, 1, 0.7, busy_before_the_open_then_halted),
    "resumes late": Kind(1e5, 1, 0.7, resumes_late),
    "strays": Kind(1e4, 1, 0.4, stray_prints),
    "thin strays": Kind(100, 0.4, 0.05, stray_prints),
    "around the clock": Kind(1e6, 1, 1, around_the_clock),
    "thin blocks": Kind(200, 0.4, 0.05, blocks_after_the_close),
}
STARTS = [date(2025, 2, 3), date(2025, 10, 20), date(2025, 11, 24), date(2026, 6, 29)]


@pytest.mark.parametrize("name", KINDS)
def test_no_honest_reply_is_distrusted(name: str) -> None:
    draw = np.random.default_rng(20_261)
    for count in (1, 2, 3, 4, 5, 10, 20, 52):
        for first in STARTS:
            sessions = sessions_of(first, count)
            for _ in range(8 if count < 10 else 4):
                assert distrust(generated(draw, KINDS[name], sessions), sessions) is None


def moved(bars: pl.DataFrame, minutes: int, *, since: datetime | None = None) -> pl.DataFrame:
    late = pl.col("ts").dt.offset_by(f"{minutes}m")
    part = pl.lit(value=True) if since is None else pl.col("ts") >= since
    return bars.with_columns(ts=pl.when(part).then(late).otherwise("ts"))


@pytest.mark.parametrize("minutes", [60, -60, 240, 300, -240, -300, 150, 720])
@pytest.mark.parametrize("name", ["dense", "liquid", "earnings", "news and a halt", "strays"])
def test_a_reply_shifted_by_hours_is_distrusted_from_five_sessions_on(
    name: str, minutes: int
) -> None:
    draw = np.random.default_rng(20_262)
    for count in (5, 8, 20, 52):
        for first in STARTS:
            sessions = sessions_of(first, count)
            assert distrust(moved(generated(draw, KINDS[name], sessions), minutes), sessions)


@pytest.mark.parametrize("minutes", [30, -30])
@pytest.mark.parametrize(
    ("name", "fewest"), [("dense", 3), ("earnings", 8), ("liquid", 8), ("thin", 20)]
)
def test_half_an_hour_needs_more_sessions(name: str, fewest: int, minutes: int) -> None:
    draw = np.random.default_rng(20_263)
    for count in (fewest, 52):
        for first in STARTS:
            sessions = sessions_of(first, count)
            assert distrust(moved(generated(draw, KINDS[name], sessions), minutes), sessions)


@pytest.mark.parametrize("minutes", [30, -30])
def test_half_an_hour_of_one_dense_session_shows_at_both_ends_of_its_evening(minutes: int) -> None:
    draw = np.random.default_rng(20_275)
    found = tried = 0
    for first in STARTS:
        sessions = sessions_of(first, 4)
        for _ in range(10):
            bars = generated(draw, KINDS["dense"], sessions)
            morning = sessions[-1].opens - timedelta(hours=6)
            found += distrust(moved(bars, minutes, since=morning), sessions) is not None
            tried += 1
    assert found >= 0.75 * tried


@pytest.mark.parametrize("minutes", [60, -60, 240, -300])
def test_one_dense_session_gives_itself_away_by_bars_at_impossible_hours(minutes: int) -> None:
    draw = np.random.default_rng(20_264)
    for first in STARTS:
        sessions = sessions_of(first, 1)
        bars = generated(draw, KINDS["dense"], sessions)
        assert distrust(bars, sessions) is None
        assert distrust(moved(bars, minutes), sessions)


@pytest.mark.parametrize("minutes", [60, -60])
def test_regular_hours_alone_give_an_hour_away_in_six_sessions(minutes: int) -> None:
    draw = np.random.default_rng(20_265)
    for first in STARTS:
        sessions = sessions_of(first, 6)
        bars = generated(draw, KINDS["regular hours only"], sessions)
        only = of_sessions(bars, sessions)
        assert distrust(only, sessions) is None
        assert distrust(moved(only, minutes), sessions)


@pytest.mark.parametrize("name", ["dense", "liquid", "thin"])
def test_one_side_of_a_clock_change_is_found_and_named(name: str) -> None:
    draw = np.random.default_rng(20_266)
    sessions = sessions_of(date(2026, 10, 5), 40)
    bars = generated(draw, KINDS[name], sessions)
    change = datetime(2026, 11, 1, 6, tzinfo=UTC)
    late = distrust(moved(bars, 60, since=change), sessions)
    assert late is not None
    assert late.startswith("its bars from 2026-11-02 to 2026-11-30 stand 1 h too late: ")
    early = distrust(moved(moved(bars, -60), 60, since=change), sessions)
    assert early is not None
    assert early.startswith("its bars from 2026-10-05 to 2026-10-30 stand 1 h too early: ")


def test_some_sessions_in_the_middle_are_found() -> None:
    draw = np.random.default_rng(20_267)
    sessions = sessions_of(date(2026, 3, 2), 52)
    bars = moved(generated(draw, KINDS["liquid"], sessions), 60, since=sessions[20].opens)
    said = distrust(moved(bars, -60, since=sessions[25].opens), sessions)
    assert said is not None
    assert said.startswith(f"its bars from {sessions[20].day} to {sessions[24].day} stand 1 h")


def test_bars_on_days_without_a_session_are_counted() -> None:
    draw = np.random.default_rng(20_268)
    sessions = sessions_of(date(2026, 11, 9), 10)
    said = distrust(moved(generated(draw, KINDS["dense"], sessions), 24 * 60), sessions)
    assert said == (
        "64 of its 640 bars lie on days without a session, the first at 2026-11-14 09:00:00Z"
    )


def test_a_few_prints_on_a_weekend_are_no_reason() -> None:
    draw = np.random.default_rng(20_269)
    sessions = sessions_of(date(2026, 11, 9), 10)
    bars = generated(draw, KINDS["liquid"], sessions)
    saturday = moved(bars.head(3), 5 * 24 * 60 + 300)
    assert distrust(pl.concat([bars, saturday]), sessions) is None


def test_bars_before_and_after_the_window_are_no_matter_of_the_clock() -> None:
    draw = np.random.default_rng(20_270)
    sessions = sessions_of(date(2026, 11, 9), 5)
    bars = generated(draw, KINDS["liquid"], sessions)
    strays = pl.concat([moved(bars, -30 * 24 * 60), bars, moved(bars, 30 * 24 * 60)])
    assert distrust(strays, sessions) is None


def test_a_reply_without_any_time_is_distrusted_and_one_without_bars_is_not() -> None:
    draw = np.random.default_rng(20_271)
    sessions = sessions_of(date(2026, 11, 9), 5)
    bars = generated(draw, KINDS["regular hours only"], sessions)
    nowhere = bars.with_columns(ts=pl.lit(None, BAR_SCHEMA["ts"]))
    assert distrust(nowhere, sessions) == f"none of its {bars.height} bars has a time"
    assert distrust(empty_bars(), sessions) is None
    assert distrust(bars, []) is None


@pytest.mark.parametrize("every", [2, 3, 8, 15])
def test_a_reply_that_lost_the_time_of_many_bars_is_distrusted(every: int) -> None:
    sessions = sessions_of(date(2026, 11, 9), 10)
    bars = generated(np.random.default_rng(20_274), KINDS["liquid"], sessions)
    some = pl.int_range(pl.len()) % every == 0
    lost = bars.with_columns(ts=pl.when(~some).then("ts"))
    assert distrust(lost, sessions) == (
        f"{lost['ts'].null_count()} of its {bars.height} bars have no time"
    )
    few = bars.with_columns(ts=pl.when(pl.int_range(pl.len()) >= 3).then("ts"))
    assert distrust(few, sessions) is None


@pytest.mark.parametrize("volume", [None, float("nan"), float("inf"), -5.0, 0.0, 1e300])
def test_volumes_that_cannot_be_neither_help_nor_harm(volume: float | None) -> None:
    draw = np.random.default_rng(20_272)
    sessions = sessions_of(date(2026, 11, 9), 6)
    bars = generated(draw, KINDS["dense"], sessions)
    one = pl.int_range(pl.len()) == 100
    spoilt = bars.with_columns(volume=pl.when(one).then(volume).otherwise("volume"))
    assert distrust(spoilt, sessions) is None
    assert distrust(moved(spoilt, 60), sessions)
    assert distrust(bars.with_columns(volume=pl.lit(volume, pl.Float64)), sessions) is None


def test_the_order_of_the_wire_is_no_matter() -> None:
    sessions = sessions_of(date(2026, 11, 9), 6)
    bars = generated(np.random.default_rng(20_273), KINDS["dense"], sessions)
    shuffled = bars.sample(fraction=1, shuffle=True, seed=1)
    assert distrust(shuffled, sessions) is None
    assert distrust(moved(shuffled, 60), sessions) == distrust(moved(bars, 60), sessions)


_anything = st.fixed_dictionaries(
    {
        "ts": st.none()
        | st.datetimes(datetime(2026, 10, 20), datetime(2026, 11, 25), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
        "volume": st.none() | st.floats(),
    }
)


@settings(deadline=None, max_examples=60)
@given(st.lists(_anything, max_size=30), st.integers(0, 10))
def test_any_delivery_is_believed_or_doubted_in_one_line(
    rows: list[dict[str, object]], count: int
) -> None:
    bars = pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")
    said = distrust(bars, sessions_of(date(2026, 10, 28), count))
    assert said is None or (said and "\n" not in said)


@pytest.mark.parametrize(
    "symbol",
    ["AAPL", "BRK.B", "MIDL", "THIN", "HALT", "NEWCO", "SPLT", "REVS", "QWE", "HALM", "PPT"],
)
def test_two_years_of_the_simulator_are_believed_and_an_hour_off_are_not(
    simulated: Callable[[str, Sequence[Session]], pl.DataFrame], symbol: str
) -> None:
    days = CALENDAR.between(date(2024, 11, 22), date(2026, 11, 20))
    windows = [days[at : at + 52] for at in range(0, len(days), 52)]
    windows += [days[at : at + count] for count in (1, 2, 3, 7) for at in range(0, len(days), 41)]
    for sessions in windows:
        bars = simulated(symbol, sessions)
        assert distrust(bars, sessions) is None
        traded = bars["ts"].dt.date().n_unique()
        if traded >= (40 if symbol == "THIN" else 2):
            assert distrust(moved(bars, 60), sessions)
            assert distrust(moved(bars, -60), sessions)
