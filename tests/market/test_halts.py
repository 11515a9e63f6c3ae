"""When a silence is a halt: how busy a session was, and what that makes of its absences."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.coverage import Evidence, Reason, SessionCoverage, State, judge
from swiftbolt_assets.market.halts import BUSY, paces, was_busy
from swiftbolt_assets.market.sessions import Session, xnys

DAYS = xnys().between(date(2026, 11, 9), date(2026, 11, 13))
MIDDLE = DAYS[2]
SLOTS = MIDDLE.slot_starts()
#: Bars on both sides of all of them.
KNOWN = (DAYS[0].opens, DAYS[-1].closes)


def traded(session: Session, *counts: int | None) -> pl.DataFrame:
    """Return bars from the open on, one a count of trades."""
    frame = {name: [1.0] * len(counts) for name in BAR_SCHEMA}
    columns = frame | {"ts": session.slot_starts()[: len(counts)], "trade_count": list(counts)}
    return pl.DataFrame(columns, schema=BAR_SCHEMA)


def judged(
    present: list[int], pace: dict[date, float], known: tuple[datetime, datetime] = KNOWN
) -> SessionCoverage:
    """Return what two answers make of a session with the bars of some quarter hours."""
    bars = [SLOTS[at] for at in present]
    shown = Evidence(KNOWN[1], *known, [], paces=pace)
    return judge(MIDDLE, bars, shown, judge(MIDDLE, bars, shown, None))


def test_the_pace_of_a_session_is_its_median_quarter_hour() -> None:
    bars = pl.concat([traded(DAYS[0], 10, 900, 30, 40, 20), traded(DAYS[2], 500, 700, None, 5, 6)])
    assert paces(bars, DAYS) == {DAYS[0].day: 30.0, DAYS[2].day: 253.0}


def test_bars_outside_regular_hours_and_without_a_count_tell_nothing() -> None:
    early = traded(DAYS[1], *[9_999] * 8).with_columns(pl.col("ts").dt.offset_by("-4h"))
    assert paces(early, DAYS) == {}
    assert paces(traded(DAYS[1], *[None] * 26), DAYS) == {}
    assert paces(empty_bars(), DAYS) == {}
    assert paces(early, []) == {}


def test_three_bars_do_not_tell_how_busy_a_session_was() -> None:
    assert paces(traded(DAYS[1], 5_000, 5_000, 5_000), DAYS) == {}
    assert paces(traded(DAYS[1], *[5_000] * 4), DAYS) == {DAYS[1].day: 5_000.0}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({2: BUSY}, True),
        ({2: BUSY - 1, 1: 5_000.0, 3: 5_000.0}, False),
        ({0: 10.0, 1: 5_000.0, 3: 5_000.0, 4: 10.0}, True),
        ({1: 5_000.0, 3: BUSY - 1}, False),
        ({1: 5_000.0}, False),
        ({3: 5_000.0}, False),
        ({}, False),
    ],
)
def test_a_session_is_busy_by_itself_or_by_both_its_neighbours(
    known: dict[int, float], *, expected: bool
) -> None:
    found = was_busy(MIDDLE.day, {DAYS[at].day: pace for at, pace in known.items()})
    assert found is expected


def test_a_busy_symbol_that_falls_silent_is_halted_and_a_quiet_one_is_not() -> None:
    present = [at for at in range(26) if at not in (4, 5, 6)]
    for pace, reason in [({MIDDLE.day: 5_000.0}, Reason.HALTED), ({}, Reason.NO_TRADE)]:
        found = judged(present, pace)
        assert (found.state, found.reason, found.bars) == (State.FINAL, None, 23)
        assert found.absences == dict.fromkeys(SLOTS[4:7], reason)


def test_a_halt_may_last_from_the_open_or_to_the_close() -> None:
    found = judged(list(range(5, 20)), {MIDDLE.day: 5_000.0})
    assert found.absences == dict.fromkeys(SLOTS[:5] + SLOTS[20:], Reason.HALTED)


def test_a_whole_day_between_busy_ones_is_halted() -> None:
    found = judged([], {DAYS[1].day: 5_000.0, DAYS[3].day: 5_000.0})
    assert (found.state, found.reason, found.bars) == (State.FINAL, Reason.HALTED, 0)
    assert judged([], {DAYS[1].day: 5_000.0}).reason is Reason.NO_TRADE


def test_before_its_first_trade_and_after_its_last_known_one_nothing_is_halted() -> None:
    present = list(range(5, 20))
    known = (SLOTS[5], SLOTS[19] + timedelta(hours=1))
    found = judged(present, {MIDDLE.day: 5_000.0}, known)
    assert found.absences[SLOTS[0]] is Reason.NO_TRADE
    assert found.absences[SLOTS[20]] is Reason.HALTED
    assert found.absences[SLOTS[25]] is Reason.NO_TRADE


def test_a_bad_bar_stays_rejected_however_busy_the_session() -> None:
    bars = [slot for slot in SLOTS if slot != SLOTS[4]]
    shown = Evidence(KNOWN[1], *KNOWN, [SLOTS[4]], paces={MIDDLE.day: 5_000.0})
    assert judge(MIDDLE, bars, shown, None).absences == {SLOTS[4]: Reason.REJECTED}
