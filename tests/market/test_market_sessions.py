"""The session calendar against exchange_calendars and against the exchange's notices."""

from __future__ import annotations

import json
import runpy
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import exchange_calendars
import pytest

from swiftbolt_assets.market.sessions import Session, xnys

# exchange_calendars itself calls what pandas will change in its next major version.
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning:DeprecationWarning")


def test_every_session_equals_the_one_of_exchange_calendars() -> None:
    library = exchange_calendars.get_calendar("XNYS", start="2015-01-01", end="2030-12-31")
    schedule = library.schedule
    expected = [
        (day.date(), opens.to_pydatetime(), closes.to_pydatetime())
        for day, opens, closes in zip(
            schedule.index, schedule["open"], schedule["close"], strict=True
        )
    ]
    assert [(s.day, s.opens, s.closes) for s in xnys().sessions] == expected


def test_2024_had_252_sessions_and_2025_had_250() -> None:
    counts = [len(xnys().between(date(y, 1, 1), date(y, 12, 31))) for y in (2024, 2025)]
    assert counts == [252, 250]


def test_the_data_file_is_what_its_generator_writes() -> None:
    script = runpy.run_path(str(Path(__file__).with_name("write_xnys.py")))
    stored = json.loads(files("swiftbolt_assets.market").joinpath("xnys.json").read_text("utf-8"))
    fresh = script["calendar_data"]()
    assert {**stored, "source": None} == {**fresh, "source": None}


@pytest.mark.parametrize(
    "day", [date(2024, 11, 29), date(2024, 12, 24), date(2025, 7, 3), date(2025, 11, 28)]
)
def test_early_closes_end_at_13_new_york_time_with_14_quarter_hours(day: date) -> None:
    session = _session(day)
    offset = 4 if day.month == 7 else 5
    assert session.closes == datetime(day.year, day.month, day.day, 13 + offset, tzinfo=UTC)
    assert session.slots == 14
    assert (session.bars_expected(15), session.bars_expected(60), session.bars_expected(240)) == (
        14,
        4,
        1,
    )


def test_a_full_day_has_26_7_and_2_bars() -> None:
    session = _session(date(2026, 11, 20))
    counts = [session.bars_expected(minutes) for minutes in (15, 60, 240)]
    assert counts == [26, 7, 2]
    starts = session.slot_starts()
    assert len(starts) == 26
    assert (starts[0], starts[-1]) == (session.opens, session.closes - timedelta(minutes=15))


@pytest.mark.parametrize(
    "day",
    [
        date(2025, 1, 9),  # day of mourning
        date(2024, 12, 25),
        date(2025, 4, 18),  # Good Friday
        date(2025, 6, 19),
        date(2026, 7, 3),  # Independence Day falls on a Saturday
        date(2026, 11, 21),  # a Saturday
        date(2026, 11, 22),  # a Sunday
    ],
)
def test_the_exchange_is_closed_on(day: date) -> None:
    assert xnys().session(day) is None
    assert (day in xnys().closures) == (day.weekday() < 5)


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (date(2025, 3, 7), (14, 30), (21, 0)),
        (date(2025, 3, 10), (13, 30), (20, 0)),
        (date(2025, 10, 31), (13, 30), (20, 0)),
        (date(2025, 11, 3), (14, 30), (21, 0)),
        (date(2026, 3, 6), (14, 30), (21, 0)),
        (date(2026, 3, 9), (13, 30), (20, 0)),
        (date(2026, 10, 30), (13, 30), (20, 0)),
        (date(2026, 11, 2), (14, 30), (21, 0)),
    ],
)
def test_the_open_moves_in_utc_at_each_clock_change(
    day: date, opens: tuple[int, int], closes: tuple[int, int]
) -> None:
    session = _session(day)
    assert session.opens == datetime(day.year, day.month, day.day, *opens, tzinfo=UTC)
    assert session.closes == datetime(day.year, day.month, day.day, *closes, tzinfo=UTC)


def test_two_years_before_2026_11_20_hold_501_sessions() -> None:
    sessions = xnys().between(date(2024, 11, 20), date(2026, 11, 19))
    assert len(sessions) == 501
    assert sessions == sorted(sessions)
    assert sum(s.slots == 14 for s in sessions) == 5


@pytest.mark.parametrize(
    ("first", "counts"),
    [("2024-01-08", (502, 12_980, 3_496, 998)), ("2024-01-09", (501, 12_954, 3_489, 996))],
)
def test_the_example_window_holds_so_many_bars(first: str, counts: tuple[int, ...]) -> None:
    sessions = xnys().between(date.fromisoformat(first), date(2026, 1, 7))
    bars = [sum(s.bars_expected(minutes) for s in sessions) for minutes in (15, 60, 240)]
    assert (len(sessions), *bars) == counts


def test_bounds_of_a_stretch_are_both_included_and_may_be_closed_days() -> None:
    found = xnys().between(date(2025, 1, 4), date(2025, 1, 13))  # a Saturday to a Monday
    assert [s.day.day for s in found] == [6, 7, 8, 10, 13]
    assert xnys().between(date(2025, 1, 9), date(2025, 1, 9)) == []
    assert xnys().between(date(2025, 1, 10), date(2025, 1, 8)) == []


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2014, 12, 31), date(2015, 1, 5)), (date(2030, 12, 30), date(2031, 1, 1))],
)
def test_days_beyond_the_data_are_refused_not_taken_for_closed(first: date, last: date) -> None:
    with pytest.raises(ValueError, match="from 2015-01-01 to 2030-12-31"):
        xnys().between(first, last)


def _session(day: date) -> Session:
    session = xnys().session(day)
    assert session is not None
    return session
