"""What was announced takes from the calendar on board, and nothing else."""

from __future__ import annotations

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.cli.arguments import parse_change
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.announced import Change, changed, require_sense
from swiftbolt_assets.market.sessions import xnys

CHANGES = st.builds(
    Change,
    st.dates(date(2024, 1, 1), date(2030, 12, 31)),
    st.none() | st.builds(time, st.integers(10, 16), st.sampled_from((0, 15, 30, 45))),
)


@given(st.lists(CHANGES, max_size=20))
def test_a_changed_calendar_has_no_session_that_is_not_on_board_and_none_that_closes_later(
    changes: list[Change],
) -> None:
    found = changed(xnys(), changes)
    on_board = {session.day: session for session in xnys().sessions}
    by_day = {change.day: change for change in changes}
    for session in found.sessions:
        whole = on_board.pop(session.day)
        assert (session.opens, session.closes <= whole.closes) == (whole.opens, True)
        if session != whole:
            assert by_day[session.day].closes is not None
    assert set(found.closures) == set(xnys().closures) | set(on_board)
    assert all(by_day[day].closes is None for day in on_board)
    assert (found.first, found.last) == (xnys().first, xnys().last)


def test_a_calendar_without_changes_is_the_one_on_board() -> None:
    assert changed(xnys(), []) is xnys()


def test_a_change_that_a_later_release_has_on_board_changes_nothing() -> None:
    changes = [Change(date(2026, 12, 25), None), Change(date(2026, 11, 27), time(14))]
    assert changed(xnys(), changes).sessions == xnys().sessions


@pytest.mark.parametrize(
    ("day", "closes", "said"),
    [
        ("2026-11-28", None, "day: 2026-11-28 is a Saturday, closed anyway; use a weekday"),
        ("2026-12-25", None, "day: 2026-12-25 is a closure already; nothing is to be added"),
        ("2026-12-25", "13:00", "day: 2026-12-25 is a closure already; nothing is to be added"),
        ("2031-01-02", None, "day: 2031-01-02 is outside the calendar, which reaches from 2015"),
        ("2014-12-31", None, "day: 2014-12-31 is outside the calendar, which reaches from 2015"),
        ("2026-12-1", None, "day: '2026-12-1' is not a date; use YYYY-MM-DD"),
        ("tomorrow", None, "day: 'tomorrow' is not a date; use YYYY-MM-DD"),
        ("2026-12-01", "1pm", "closes: '1pm' is not a time; use HH:MM, New York time"),
        ("2026-12-01", "25:00", "closes: '25:00' is not a time; use HH:MM, New York time"),
        ("2026-12-01", "13:07", "closes: 13:07 is within a quarter hour; use one's end"),
        ("2026-12-01", "16:00", "closes: 2026-12-01 is open from 09:30 to 16:00 New York time"),
        ("2026-12-01", "09:30", "closes: 2026-12-01 is open from 09:30 to 16:00 New York time"),
        ("2026-11-27", "13:00", "closes: 2026-11-27 is open from 09:30 to 13:00 New York time"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_in_one_line_that_names_the_field(
    day: str, closes: str | None, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_change(day, closes, "", is_closed=closes is None)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_one_of_closed_and_closes_is_given() -> None:
    for closes, is_closed in ((None, False), ("13:00", True)):
        with pytest.raises(UsageError, match=r"^calendar add: give either --closed or --closes"):
            parse_change("2026-12-01", closes, "", is_closed=is_closed)


def test_a_reason_is_one_line() -> None:
    assert parse_change("2026-12-01", None, " a\nb ", is_closed=True).reason == "a b"
    with pytest.raises(UsageError, match=r"^reason: it is longer than 200 characters"):
        parse_change("2026-12-01", None, "x" * 201, is_closed=True)


def test_an_early_close_may_close_earlier_yet() -> None:
    require_sense(xnys(), Change(date(2026, 11, 27), time(12, 45)))
