"""The simulator's calendar by rule against the library's table."""

from __future__ import annotations

from datetime import date

import exchange_calendars
import pytest

from swiftbolt_assets.simulator import calendar


# exchange_calendars itself calls what pandas will change in its next major version.
@pytest.mark.filterwarnings("ignore:Series.values returning:DeprecationWarning")
def test_sessions_and_closes_equal_those_of_exchange_calendars() -> None:
    xnys = exchange_calendars.get_calendar("XNYS", start="2015-01-01", end="2028-12-31")
    expected = [(day.date(), int(close.timestamp() * 1000)) for day, close in xnys.closes.items()]
    found = calendar.sessions(date(2015, 1, 1), date(2028, 12, 31))
    assert [(one.day, one.at(one.closes)) for one in found] == expected


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        (date(2026, 3, 6), "14:30"),
        (date(2026, 3, 9), "13:30"),
        (date(2026, 10, 30), "13:30"),
        (date(2026, 11, 2), "14:30"),
    ],
)
def test_the_open_moves_in_utc_when_the_clocks_change(day: date, opens: str) -> None:
    found = calendar.session(day)
    assert found is not None
    minute = found.at(calendar.REGULAR_OPEN) // 60_000 % (24 * 60)
    assert f"{minute // 60}:{minute % 60}" == opens


def test_a_half_day_ends_at_13_and_its_evening_at_17() -> None:
    found = calendar.session(date(2025, 11, 28))
    assert found is not None
    assert (found.closes, found.extended_closes, found.minutes) == (13 * 60, 17 * 60, 780)


def test_years_outside_the_rules_have_no_sessions() -> None:
    assert not list(calendar.sessions(date(1990, 1, 1), date(1990, 12, 31)))
    assert calendar.session(date(2031, 1, 2)) is None
    assert next(calendar.sessions(date.min, date.max)).day == date(2015, 1, 2)
