"""What the planner cuts: every missing session once, newest first, never closed time."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.request_windows import GUARANTEED_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from uuid import UUID

TODAY = date(2026, 11, 20)
FIRST_DATE = date(2024, 1, 2)
Span = tuple[date, date]


class Planner(Protocol):
    """The open transaction of `conftest.py`."""

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...
    def move(self, instant: datetime) -> None: ...
    def want(
        self, symbol: str = ..., timeframe: str = ..., window: int = ..., priority: int = ...
    ) -> UUID: ...
    def plan(self, symbol: str | None = None, least_priority: int = 0) -> int: ...
    def settle(self, symbol: str, days: Iterable[date]) -> None: ...
    def slices(
        self, symbol: str = ..., *statuses: str, timeframe: str | None = None
    ) -> list[Span]: ...
    def run(self, symbol: str = ..., **columns: object) -> UUID: ...
    def undone(self) -> AbstractContextManager[None]: ...


def days(first: date, last: date) -> list[date]:
    """Return the sessions from `first` to `last`."""
    return [session.day for session in xnys().between(first, last)]


def window(days_back: int, today: date = TODAY) -> list[date]:
    """Return the sessions that a window needs, today excluded."""
    return days(max(today - timedelta(days=days_back), FIRST_DATE), today - timedelta(days=1))


def change(planner: Planner, statement: str, *values: object) -> None:
    planner.rows(f"with changed as ({statement} returning 1) select * from changed", *values)


def at_noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


def check_cover(planner: Planner, missing: set[date], under_way: list[Span]) -> None:
    """Hold the open slices against the sessions that are missing."""
    found = planner.slices()
    spans = sorted(found)
    assert all(a[1] < b[0] for a, b in pairwise(spans)), "they overlap"
    for day in missing:
        assert sum(first <= day <= last for first, last in spans) == 1, day
    for first, last in set(found) - set(under_way):
        assert {first, last} <= missing
        assert len(days(first, last)) <= GUARANTEED_SESSIONS


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_every_missing_session_is_in_exactly_one_open_slice(
    planner: Planner, data: st.DataObject
) -> None:
    today = data.draw(st.dates(date(2025, 1, 2), date(2026, 11, 20)), "today")
    windows = data.draw(
        st.dictionaries(
            st.sampled_from(["m15", "h1", "h4"]), st.integers(1, 900), min_size=1, max_size=3
        ),
        "windows",
    )
    needed = window(max(windows.values()), today)
    settled = {day for day in needed if data.draw(st.booleans())} if len(needed) < 40 else set()
    for _ in range(data.draw(st.integers(0, 4), "settled stretches")):
        start = data.draw(st.integers(0, max(len(needed) - 1, 0)))
        settled |= set(needed[start : start + data.draw(st.integers(1, 120))])
    with planner.undone():
        planner.move(at_noon(today))
        for timeframe, width in windows.items():
            planner.want("AAPL", timeframe, width)
        planner.settle("AAPL", settled)
        under_way: list[Span] = []
        at = 0
        for _ in range(data.draw(st.integers(0, 4), "slices under way") if needed else 0):
            at += data.draw(st.integers(0, 100))
            stretch = needed[at : at + data.draw(st.integers(1, 60))]
            if not stretch:
                break
            at += len(stretch)
            under_way.append((stretch[0], stretch[-1]))
            insert_slice(planner, *under_way[-1], status="running", claim_id=uuid4())
        planner.plan()
        check_cover(planner, set(needed) - settled, under_way)
        for timeframe, width in windows.items():
            reached = today - timedelta(days=width)
            of_timeframe = set(planner.slices(timeframe=timeframe)) - set(under_way)
            reaches = {span for span in planner.slices() if span[1] >= reached}
            assert of_timeframe == reaches - set(under_way)
        assert planner.plan() == 0, "a second plan adds nothing"


def insert_slice(planner: Planner, first: date, last: date, **columns: object) -> UUID:
    """Insert a slice with days of its own, as the planner does."""
    opens, closes = xnys().session(first), xnys().session(last)
    assert opens is not None
    assert closes is not None
    bounds = {"slice_from": opens.opens, "slice_to": closes.closes}
    return planner.run(**{"first_day": first, "last_day": last} | bounds | columns)


@pytest.mark.parametrize("window_days", [1, 3, 30, 90, 365, 730])
def test_a_fresh_symbol_needs_one_slice_for_each_request(
    planner: Planner, window_days: int
) -> None:
    """Mistake 7: 8,760 slices of two hours, three quarters of them of closed time."""
    definition = planner.want(window=window_days)
    needed = window(window_days)
    wanted = math.ceil(len(needed) / GUARANTEED_SESSIONS)
    assert planner.plan() == wanted
    check_cover(planner, set(needed), [])
    total = planner.rows("select total_slices from get_job_progress(%s)", definition)
    assert total == [(wanted,)]
    assert planner.rows("select sum(sessions) from job_runs") == [(len(needed),)] or not needed


def test_slices_begin_at_an_open_and_end_at_a_close_and_the_newest_is_planned_first(
    planner: Planner,
) -> None:
    planner.want(window=730)
    planner.plan()
    found = planner.rows(
        "select slice_from, slice_to, first_day, last_day from job_runs order by created_at, id"
    )
    for slice_from, slice_to, first, last in found:
        assert slice_from == xnys().session(first).opens  # type: ignore[union-attr]
        assert slice_to == xnys().session(last).closes  # type: ignore[union-attr]
    assert found[0][3] == date(2026, 11, 19)
    assert [row[3] for row in found] == sorted((row[3] for row in found), reverse=True)


def test_history_is_never_restricted_to_the_recent_past(planner: Planner) -> None:
    planner.want(window=3650)
    planner.plan()
    assert min(planner.slices())[0] == FIRST_DATE


def test_edges_do_not_depend_on_the_time_of_day(planner: Planner) -> None:
    """Failure mode 16: edges counted from now() never met again."""
    planner.want(window=400)
    found = set()
    for hour, minute in ((5, 1), (12, 0), (14, 31), (20, 59), (23, 30)):
        with planner.undone():
            planner.move(datetime(2026, 11, 20, hour, minute, tzinfo=UTC))
            planner.plan()
            found.add(tuple(planner.slices()))
    with planner.undone():
        # Still the 20th in New York.
        planner.move(datetime(2026, 11, 21, 4, 59, tzinfo=UTC))
        planner.plan()
        found.add(tuple(planner.slices()))
    assert len(found) == 1


def test_a_raised_window_adds_only_older_slices(planner: Planner) -> None:
    planner.want(window=90)
    planner.plan()
    before = planner.slices()
    change(planner, "update job_definitions set window_days = 365")
    planner.plan()
    after = planner.slices()
    assert after[: len(before)] == before
    assert all(last < before[-1][0] for _, last in after[len(before) :])
    check_cover(planner, set(window(365)), [])


def test_a_lowered_window_cancels_what_waits_beyond_it_and_leaves_what_is_under_way(
    planner: Planner,
) -> None:
    planner.want(window=730)
    planner.plan()
    newest, *_, oldest = planner.slices()
    change(planner, "update job_runs set claim_id = %s where first_day = %s", uuid4(), oldest[0])
    change(planner, "update job_definitions set window_days = 30")
    assert planner.plan() == 0
    assert planner.slices() == [newest, oldest]
    assert len(planner.slices("AAPL", "cancelled")) == 8
    change(planner, "update job_definitions set window_days = 730")
    planner.plan()
    check_cover(planner, set(window(730)), [])


def test_a_disabled_definition_cancels_what_waits_and_an_enabled_one_brings_it_back(
    planner: Planner,
) -> None:
    planner.want(window=90)
    planner.plan()
    before = planner.slices()
    change(planner, "update job_definitions set enabled = false")
    assert planner.plan() == 0
    assert planner.slices() == []
    change(planner, "update job_definitions set enabled = true")
    assert planner.plan() == len(before)
    assert planner.slices() == before


def test_a_definition_that_comes_later_joins_the_slices_under_way(planner: Planner) -> None:
    planner.want(window=730)
    planner.plan()
    change(planner, "update job_runs set claim_id = %s, status = 'running'", uuid4())
    hourly = planner.want(timeframe="h1", window=90)
    planner.plan()
    reached = [span for span in planner.slices(timeframe="m15") if span[1] >= date(2026, 8, 22)]
    assert planner.slices(timeframe="h1") == reached
    assert planner.rows(
        "select count(distinct claim_id), bool_and(status = 'running') from job_runs"
    ) == [(1, True)]
    assert planner.rows("select total_slices from get_job_progress(%s)", hourly) == [
        (len(reached),)
    ]


def test_a_wider_definition_that_comes_later_is_planned_around_what_is_under_way(
    planner: Planner,
) -> None:
    planner.want(timeframe="h1", window=90)
    planner.plan()
    planner.want(timeframe="h4", window=365)
    planner.plan()
    check_cover(planner, set(window(365)), planner.slices(timeframe="h1"))
    assert set(planner.slices(timeframe="h1")) <= set(planner.slices(timeframe="h4"))


def test_nothing_before_the_first_date_is_planned_and_an_earlier_one_counts_at_once(
    planner: Planner,
) -> None:
    change(planner, "update installation set value = '2026-09-01' where name = 'first_date'")
    definition = planner.want(window=365)
    planner.plan()
    recent = set(days(date(2026, 9, 1), date(2026, 11, 19)))
    check_cover(planner, recent, [])
    change(planner, "update installation set value = '2026-06-01' where name = 'first_date'")
    planner.plan()
    check_cover(planner, set(days(date(2026, 6, 1), date(2026, 11, 19))), [])
    change(planner, "update installation set value = '2026-10-01' where name = 'first_date'")
    planner.plan()
    later = set(days(date(2026, 10, 1), date(2026, 11, 19)))
    check_cover(planner, later, [])
    assert min(planner.slices())[0] == date(2026, 10, 1)
    assert planner.rows("select sessions from get_job_progress(%s)", definition) == [(len(later),)]


def test_a_new_session_adds_one_slice_and_a_closed_day_none(planner: Planner) -> None:
    planner.want(window=30)
    planner.settle("AAPL", window(30))
    assert planner.plan() == 0
    planner.move(datetime(2026, 11, 21, 18, tzinfo=UTC))
    assert planner.plan() == 1
    assert planner.slices() == [(TODAY, TODAY)]
    planner.move(datetime(2026, 11, 23, 18, tzinfo=UTC))
    assert planner.plan() == 0, "Saturday and Sunday had no session"


def test_a_thousand_symbols_are_planned_at_once_the_one_wanted_longest_first(
    planner: Planner,
) -> None:
    change(
        planner,
        "insert into job_definitions (job_type, symbol, timeframe, window_days, created_at)"
        " select 'fetch_intraday', 'S' || n, t.timeframe::timeframe, 365,"
        "   '2026-01-01'::timestamptz + (1000 - n) * interval '1 second'"
        " from generate_series(1, 1000) n, (values ('m15'), ('h1'), ('h4')) t (timeframe)",
    )
    slices = math.ceil(len(window(365)) / GUARANTEED_SESSIONS)
    assert planner.plan() == 3 * 1000 * slices
    assert planner.plan() == 0
    age = planner.rows("select symbol from job_runs group by symbol order by min(created_at)")
    assert [symbol for (symbol,) in age] == [f"S{n}" for n in range(1000, 0, -1)]


def test_background_symbols_stay_unplanned_when_they_are_switched_off(
    planner: Planner,
) -> None:
    planner.want("AAPL", priority=100)
    planner.want("MSFT", priority=60)
    assert planner.plan(least_priority=100) == 1
    assert planner.slices("MSFT") == []
    assert planner.plan() == 1


def test_one_symbol_is_planned_alone(planner: Planner) -> None:
    planner.want("AAPL")
    planner.want("MSFT")
    assert planner.plan("MSFT") == 1
    assert planner.slices("AAPL") == []
    assert planner.plan() == 1


@pytest.mark.parametrize(
    "loss",
    [
        "delete from job_runs",
        "delete from job_definitions",
        "delete from symbols",
    ],
)
def test_what_is_taken_away_by_hand_and_wanted_again_is_planned_anew(
    planner: Planner, loss: str
) -> None:
    """A definition that came back as it was looked planned, until the next session."""
    planner.want(window=90)
    planner.plan()
    before = planner.slices()
    change(planner, loss)
    planner.want(window=90)
    planner.plan()
    assert planner.slices() == before


def test_a_deleted_symbol_is_not_worked_on_and_comes_back_with_new_interest(
    planner: Planner,
) -> None:
    planner.want(window=90)
    planner.plan()
    change(planner, "delete from symbols")
    assert planner.plan() == 0
    assert planner.slices() == []
    assert planner.rows("select * from claim_symbol(gen_random_uuid(), 0)") == []
    change(planner, "insert into symbols (ticker) values ('AAPL')")
    planner.plan()
    check_cover(planner, set(window(90)), [])


def test_sessions_that_are_struck_from_the_ledger_are_missing_again(planner: Planner) -> None:
    planner.want(window=90)
    planner.settle("AAPL", window(90))
    assert planner.plan() == 0
    change(planner, "delete from session_coverage where day between '2026-10-05' and '2026-10-08'")
    assert planner.plan() == 1
    assert planner.slices() == [(date(2026, 10, 5), date(2026, 10, 8))]


def test_a_session_that_stops_being_one_is_not_waited_for(planner: Planner) -> None:
    definition = planner.want(window=3)
    planner.plan()
    assert planner.slices() == [(date(2026, 11, 17), date(2026, 11, 19))]
    change(planner, "delete from market_sessions where day = '2026-11-17'")
    assert planner.rows("select first_day, last_day from claim_symbol(%s, 0)", uuid4()) == [
        (date(2026, 11, 18), date(2026, 11, 19))
    ]
    change(planner, "update job_runs set claim_id = null")
    change(planner, "delete from market_sessions where day in ('2026-11-18', '2026-11-19')")
    assert planner.rows("select * from claim_symbol(gen_random_uuid(), 0)") == []
    assert planner.rows("select status, progress_percent from job_runs") == [("success", 100.0)]
    done = planner.rows("select progress_percent, complete from get_job_progress(%s)", definition)
    assert done == [(100, True)]


def test_an_empty_calendar_plans_nothing(planner: Planner) -> None:
    planner.want()
    change(planner, "delete from market_sessions")
    assert planner.plan() == 0


def test_a_clock_that_is_moved_back_and_forth_leaves_every_session_in_one_slice(
    planner: Planner,
) -> None:
    planner.want(window=30)
    planner.plan()
    ahead = planner.slices()
    planner.move(datetime(2026, 6, 1, 18, tzinfo=UTC))
    planner.plan()
    check_cover(planner, set(window(30, date(2026, 6, 1))), ahead)
    claimed = planner.rows("select first_day, last_day from claim_symbol(%s, 0)", uuid4())
    assert all(last < date(2026, 6, 1) for _, last in claimed), "the future was claimed"
    change(planner, "update job_runs set claim_id = null")
    planner.move(datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    planner.plan()
    assert planner.slices() == ahead


@pytest.mark.parametrize(
    ("slice_from", "slice_to", "expected"),
    [
        ("2026-11-17 15:00Z", "2026-11-18 15:00Z", (date(2026, 11, 17), date(2026, 11, 18))),
        # A weekend, a night, the future, today alone: nothing that could be settled.
        ("2026-11-14 00:00Z", "2026-11-15 23:00Z", (None, None)),
        ("2026-11-17 22:00Z", "2026-11-18 05:00Z", (None, None)),
        ("2100-01-01 00:00Z", "2101-01-01 00:00Z", (None, None)),
        ("2026-11-20 00:00Z", "2026-11-21 00:00Z", (None, None)),
        ("2026-11-18 00:00Z", "2030-01-01 00:00Z", (date(2026, 11, 18), date(2026, 11, 19))),
        ("1999-01-01 00:00Z", "2024-01-03 00:00Z", (FIRST_DATE, FIRST_DATE)),
        ("-infinity", "infinity", (FIRST_DATE, date(2026, 11, 19))),
        (None, "2026-11-18 00:00Z", (None, None)),
        ("2026-11-18 00:00Z", None, (None, None)),
    ],
)
def test_a_run_inserted_by_hand_gets_the_past_sessions_of_its_bounds(
    planner: Planner, slice_from: str | None, slice_to: str | None, expected: tuple[Any, Any]
) -> None:
    planner.want("AAPL")
    planner.settle("AAPL", window(30))
    planner.run(" aapl ", slice_from=slice_from, slice_to=slice_to)
    found = planner.rows("select symbol, first_day, last_day from job_runs")
    assert found == [("AAPL", *expected)]
    planner.plan()
    assert planner.rows("select status from job_runs") == [("queued",)], "the planner cancelled it"
    claimed = planner.rows("select first_day, last_day from claim_symbol(%s, 0)", uuid4())
    # What is settled already needs no run.
    unsettled = expected[0] is not None and expected[0] < window(30)[0]
    assert claimed == ([expected] if unsettled else [])


def test_a_forecast_is_not_taken_for_bars_to_fetch(planner: Planner) -> None:
    planner.run(
        job_type="run_forecast", slice_from="2026-11-17 00:00Z", slice_to="2026-11-19 00:00Z"
    )
    assert planner.rows("select first_day from job_runs") == [(None,)]
    assert planner.rows("select * from claim_symbol(gen_random_uuid(), 0)") == []


def test_the_same_slice_twice_among_the_failed_does_not_stop_the_planner(
    planner: Planner,
) -> None:
    """A slice inserted by hand beside a failed one made every later plan break the unique index."""
    planner.want(window=3)
    planner.plan()
    change(planner, "update job_runs set status = 'failed', next_attempt_at = now()")
    (span,) = planner.slices("AAPL", "failed")
    insert_slice(planner, *span)
    insert_slice(planner, *span, status="failed", next_attempt_at=datetime(2026, 1, 1, tzinfo=UTC))
    planner.plan()
    assert planner.rows("select status, count(*) from job_runs group by 1 order by 1") == [
        ("cancelled", 2),
        ("queued", 1),
    ]
