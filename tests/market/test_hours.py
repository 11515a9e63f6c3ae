"""Regular hours: open, closed, early closes, holidays, winter; and the newest session."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.market.hours import market_hours, newest_session, next_bar_at
from swiftbolt_assets.market.sessions import xnys


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "is_open", "next_open", "next_close"),
    [
        # A usual day, in winter and in summer.
        ("2026-11-20 09:29:59", False, "2026-11-20 09:30", "2026-11-20 16:00"),
        ("2026-11-20 09:30:00", True, "2026-11-23 09:30", "2026-11-20 16:00"),
        ("2026-07-15 15:59:59", True, "2026-07-16 09:30", "2026-07-15 16:00"),
        ("2026-07-15 16:00:00", False, "2026-07-16 09:30", "2026-07-16 16:00"),
        # A weekend, and one with the end of summer time.
        ("2026-11-21 12:00:00", False, "2026-11-23 09:30", "2026-11-23 16:00"),
        ("2026-10-31 12:00:00", False, "2026-11-02 09:30", "2026-11-02 16:00"),
        # Thanksgiving, and the early close after it.
        ("2026-11-26 11:00:00", False, "2026-11-27 09:30", "2026-11-27 13:00"),
        ("2026-11-27 12:59:59", True, "2026-11-30 09:30", "2026-11-27 13:00"),
        ("2026-11-27 13:00:00", False, "2026-11-30 09:30", "2026-11-30 16:00"),
        # A day of mourning.
        ("2025-01-09 11:00:00", False, "2025-01-10 09:30", "2025-01-10 16:00"),
    ],
)
def test_the_exchange_is_open_or_closed_and_says_until_when(
    now: str, *, is_open: bool, next_open: str, next_close: str
) -> None:
    hours = market_hours(xnys(), new_york(now))
    told = (hours.is_open, hours.next_open, hours.next_close)
    assert told == (is_open, new_york(next_open), new_york(next_close))


def test_winter_opens_an_hour_later_by_universal_time() -> None:
    opens = [
        market_hours(xnys(), datetime(2026, *day, 5, tzinfo=UTC)).next_open
        for day in ((7, 15), (11, 20))
    ]
    assert [at.hour for at in opens] == [13, 14]


def test_every_hour_of_two_years_is_open_exactly_within_a_session() -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC)
    while now < datetime(2027, 1, 1, tzinfo=UTC):
        session = xnys().session(now.astimezone(NEW_YORK).date())
        within = session is not None and session.opens <= now < session.closes
        hours = market_hours(xnys(), now)
        assert hours.is_open == within, now
        assert now < hours.next_open
        assert now < hours.next_close
        now += timedelta(minutes=37)


@pytest.mark.parametrize(
    ("now", "at"),
    [
        ("2026-11-20 09:30:00", "2026-11-20 09:45"),
        ("2026-11-20 09:44:59", "2026-11-20 09:45"),
        ("2026-11-20 09:45:00", "2026-11-20 10:00"),
        ("2026-11-27 12:59:59", "2026-11-27 13:00"),
        ("2026-11-27 13:00:00", "2026-11-30 09:45"),
    ],
)
def test_the_next_bar_closes_with_the_quarter_hour(now: str, at: str) -> None:
    assert next_bar_at(xnys(), new_york(now)) == new_york(at)


@pytest.mark.parametrize(
    ("now", "live", "history"),
    [
        ("2026-11-20 09:29:59", "2026-11-19", "2026-11-19"),
        ("2026-11-20 09:30:00", "2026-11-20", "2026-11-19"),
        ("2026-11-20 23:59:59", "2026-11-20", "2026-11-19"),
        ("2026-11-21 00:00:00", "2026-11-20", "2026-11-20"),
        ("2026-11-26 12:00:00", "2026-11-25", "2026-11-25"),
        ("2026-11-30 03:00:00", "2026-11-27", "2026-11-27"),
    ],
)
def test_the_newest_session_is_today_once_it_trades_where_today_can_be_had(
    now: str, live: str, history: str
) -> None:
    found = [newest_session(xnys(), new_york(now), has_live=has).day for has in (True, False)]
    assert found == [date.fromisoformat(live), date.fromisoformat(history)]
