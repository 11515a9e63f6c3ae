"""Who is due for today's bars: never early, never late, never outside the session."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.market.sessions import SLOT, Session, xnys
from swiftbolt_assets.policy.freshness import (
    CLOSED_WITHIN,
    OLDEST,
    Watched,
    age,
    awaited_close,
    closed_hours,
    closed_through,
    due,
    is_stale,
    next_due,
)

FULL = date(2026, 11, 20)
EARLY = date(2026, 11, 27)
THANKSGIVING = date(2026, 11, 26)
SUNDAY = date(2026, 11, 22)
MINUTE = timedelta(minutes=1)


def session_of(day: date) -> Session:
    found = xnys().session(day)
    assert found is not None
    return found


def new_york(hour: int, minute: int, day: date = FULL, second: int = 0) -> datetime:
    local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=NEW_YORK)
    return local.astimezone(UTC)


def one(
    symbol: str = "AAPL",
    *,
    at: datetime | None = None,
    priority: int = 100,
    on_screen: bool = False,
    may_ask: bool = True,
) -> Watched:
    return Watched(symbol, UUID(int=1), priority, on_screen, at, None, may_ask)


SESSIONS = st.sampled_from(xnys().between(date(2024, 6, 1), date(2026, 12, 31)))
SECONDS = st.integers(0, 86_399)


@st.composite
def symbols(draw: st.DrawFn, session: Session, now: datetime) -> list[Watched]:
    midnight = session.opens - timedelta(hours=9, minutes=30)
    earlier = st.integers(0, int((now - midnight).total_seconds())).map(
        lambda seconds: now - timedelta(seconds=seconds)
    )
    return [
        one(
            f"S{number}",
            at=draw(st.none() | earlier),
            priority=draw(st.sampled_from([50, 100, 200, 300])),
            on_screen=draw(st.booleans()),
            may_ask=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 8)))
    ]


@given(session=SESSIONS, seconds=SECONDS, data=st.data())
def test_nobody_is_due_before_the_open_nor_again_after_the_last_bar(
    session: Session, seconds: int, data: st.DataObject
) -> None:
    now = session.opens - timedelta(hours=9, minutes=30) + timedelta(seconds=seconds)
    for each in due(data.draw(symbols(session, now)), session, now):
        assert each.may_ask
        assert session.opens <= now
        if now >= session.closes:
            assert each.refreshed_at is None or each.refreshed_at < session.closes


@given(session=SESSIONS, seconds=st.integers(0, 6 * 3600), data=st.data())
def test_the_screen_goes_first_then_the_priority_and_the_budget_cuts_the_rest(
    session: Session, seconds: int, data: st.DataObject
) -> None:
    now = session.opens + timedelta(seconds=seconds)
    watched = data.draw(symbols(session, now))
    budget = data.draw(st.integers(0, 8))
    everyone = due(watched, session, now)
    ranks = [(not each.on_screen, -each.priority) for each in everyone]
    assert ranks == sorted(ranks)
    assert due(watched, session, now, budget=budget) == everyone[:budget]
    assert everyone == due(reversed(watched), session, now)


@given(session=SESSIONS, seconds=st.integers(0, 6 * 3600), data=st.data())
def test_whoever_is_stale_is_due(session: Session, seconds: int, data: st.DataObject) -> None:
    now = session.opens + timedelta(seconds=seconds)
    watched = [each for each in data.draw(symbols(session, now)) if each.may_ask]
    wanted = due(watched, session, now)
    assert [each for each in watched if is_stale(each, session, now) and each not in wanted] == []


def lived_through(session: Session, delay: timedelta) -> list[datetime]:
    """Return when one symbol is asked on a whole day; a tick a minute, the answer later."""
    watched = one()
    asked: list[datetime] = []
    now = session.opens - timedelta(hours=1)
    while now < session.closes + timedelta(hours=6):
        if due([watched], session, now):
            at = now + delay
            if asked:
                assert at - asked[-1] <= OLDEST
            asked.append(at)
            watched = one(at=at)
        now += MINUTE
    return asked


@given(session=SESSIONS, delay=st.integers(0, 30))
def test_over_a_whole_day_no_bar_is_old_and_each_close_is_seen_within_a_minute(
    session: Session, delay: int
) -> None:
    asked = lived_through(session, timedelta(seconds=delay))
    for slot in session.slot_starts():
        seen = next(at for at in asked if at >= slot + SLOT)
        assert seen - (slot + SLOT) <= CLOSED_WITHIN
    assert sum(at >= session.closes for at in asked) == 1
    assert session.opens <= asked[0] <= session.opens + MINUTE
    assert len(asked) <= 4 * session.slots + 1


@given(session=SESSIONS, shift=st.integers(0, 59), launch=st.integers(0, 4))
def test_wherever_the_ticks_fall_each_close_is_seen_within_a_minute(
    session: Session, shift: int, launch: int
) -> None:
    asked: list[datetime] = []
    watched, now, busy_until = one(), session.opens + timedelta(seconds=shift), session.opens
    while now < session.closes + 2 * MINUTE:
        closes = awaited_close(session, now)
        if now >= busy_until and (closes or due([watched], session, now)):
            for at in (now + timedelta(seconds=launch), closes):
                if at is not None and due([watched], session, max(at, now)):
                    watched = one(at=max(at, now + timedelta(seconds=launch)))
                    asked.append(watched.refreshed_at or at)
            busy_until = asked[-1] if asked else now
        now += MINUTE
    for slot in session.slot_starts():
        seen = next(at for at in asked if at >= slot + SLOT)
        assert seen - (slot + SLOT) <= CLOSED_WITHIN
    assert len(asked) <= 6 * session.slots


def test_an_early_close_is_seen_once_and_the_afternoon_is_quiet() -> None:
    session = session_of(EARLY)
    asked = lived_through(session, timedelta(seconds=2))
    assert asked[-1] == new_york(13, 0, EARLY, 2)
    assert len(lived_through(session_of(FULL), timedelta(seconds=2))) > len(asked)


@pytest.mark.parametrize("day", [THANKSGIVING, SUNDAY])
def test_nothing_is_asked_on_a_day_without_a_session(day: date) -> None:
    session = xnys().session(day)
    assert session is None
    for minute in range(0, 24 * 60, 15):
        now = new_york(0, 0, day) + timedelta(minutes=minute)
        assert due([one()], session, now) == []
        assert next_due(one(), session, now) is None
        assert age(one(), session, now) == timedelta(0)
        assert not is_stale(one(), session, now)
        assert closed_hours(xnys(), now) is not None


def test_a_missed_last_bar_is_asked_for_once_at_half_past_eight_in_the_evening() -> None:
    session, now = session_of(FULL), new_york(20, 30)
    assert now.date() == date(2026, 11, 21)
    assert due([one(at=new_york(15, 58))], session, now) == [one(at=new_york(15, 58))]
    assert due([one(at=new_york(16, 0))], session, now) == []


def test_a_refresh_from_a_future_that_a_moved_clock_left_counts_as_none() -> None:
    session, now = session_of(FULL), new_york(11, 0)
    assert due([one(at=new_york(15, 0))], session, now) == [one(at=new_york(15, 0))]
    assert due([one(at=new_york(11, 5))], session, now) == []
    assert age(one(at=new_york(11, 5)), session, now) == timedelta(0)
    assert due([one(at=new_york(20, 31))], session, new_york(20, 30)) == []


def test_yesterdays_refresh_counts_as_none() -> None:
    yesterday = one(at=new_york(16, 0, date(2026, 11, 19)))
    assert due([yesterday], session_of(FULL), new_york(9, 30)) == [yesterday]


@pytest.mark.parametrize(
    ("at", "expected"),
    [((9, 0), (9, 30)), ((9, 44), (9, 30)), ((15, 7), (15, 0)), ((18, 0), (16, 0))],
)
def test_the_newest_closed_quarter_hour_is_known(
    at: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert closed_through(session_of(FULL), new_york(*at)) == new_york(*expected)


def test_stale_means_old_or_a_closed_bar_that_is_missing_for_a_minute() -> None:
    session, seen = session_of(FULL), one(at=new_york(14, 58))
    assert not is_stale(seen, session, new_york(15, 1))
    assert is_stale(seen, session, new_york(15, 1, second=1))
    assert not is_stale(one(at=new_york(15, 1)), session, new_york(15, 6))
    assert is_stale(one(at=new_york(15, 1)), session, new_york(15, 6, second=1))
    assert is_stale(one(at=new_york(15, 59)), session, new_york(18, 0))
    assert not is_stale(one(at=new_york(16, 0)), session, new_york(18, 0))
    assert not is_stale(one(), session, new_york(9, 34))
    assert is_stale(one(), session, new_york(9, 36))


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        (new_york(9, 29), "2026-11-20 09:30"),
        (new_york(16, 0), "2026-11-23 09:30"),
        (new_york(20, 30), "2026-11-23 09:30"),
        (new_york(12, 0, THANKSGIVING), "2026-11-27 09:30"),
        (new_york(13, 0, EARLY), "2026-11-30 09:30"),
    ],
)
def test_closed_hours_are_told_with_the_next_open(now: datetime, opens: str) -> None:
    expected = f"the exchange is closed; the next session opens {opens} New York time"
    assert closed_hours(xnys(), now) == expected


def test_open_hours_are_not_told() -> None:
    assert closed_hours(xnys(), new_york(9, 30)) is None
    assert closed_hours(xnys(), new_york(12, 59, EARLY)) is None
