"""Two years of a symbol over real HTTP: the table is the simulator's truth, bar for bar."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from swiftbolt_assets.market.coverage import Reason, State
from swiftbolt_assets.policy.request_windows import seconds_left

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.filling.conftest import Desk, Simulator


def test_two_years_of_aapl_are_complete_in_ten_requests_and_a_second_run_asks_nothing(
    desk: Callable[..., Desk], simulator: Simulator
) -> None:
    aapl = desk()
    filled = aapl.fill()
    aapl.assert_exact()
    rows = aapl.coverage()
    assert (min(rows), max(rows), len(rows)) == (date(2024, 11, 20), date(2026, 11, 19), 501)
    assert len(simulator.requests()) == sum(answer.requests for answer in filled) == 10
    assert aapl.fill() == []
    assert len(simulator.requests()) == 10


@pytest.mark.parametrize("symbol", ["AAPL", "NEWCO", "HALT"])
def test_a_free_plan_needs_no_more_than_eight_minutes_of_request_slots(
    desk: Callable[..., Desk], other_simulator: Callable[..., Simulator], symbol: str
) -> None:
    """Five go at once, each further minute brings five; what a request takes comes on top."""
    free = other_simulator(horizon_years=2)
    one = desk(symbol, simulator=free)
    filled = one.fill()
    requests = len(free.requests())
    assert requests == sum(answer.requests for answer in filled)
    # The look-ups of splits, of all symbols and of this one, take slots, too.
    left = seconds_left(
        requests + 2,
        per_minute=5,
        free=5,
        next_free_s=60.0,
        seconds_a_request=2.0,
    )
    assert left <= 8 * 60
    if symbol == "AAPL":
        assert (requests, left) == (10, 2 * 60 + 2.0)


@pytest.mark.parametrize(
    ("symbol", "most"), [("BRK.B", 9), ("THIN", 3), ("NEWCO", 11), ("ZZTOP", 5)]
)
def test_two_years_of_every_kind_of_symbol_are_exact_in_few_requests(
    desk: Callable[..., Desk], simulator: Simulator, symbol: str, most: int
) -> None:
    one = desk(symbol)
    one.fill()
    one.assert_exact()
    assert len(simulator.requests()) <= most
    assert one.rejects() == []
    simulator.forget_requests()
    assert one.fill() == []
    assert simulator.requests() == []


@pytest.mark.parametrize(
    ("symbol", "first", "last"),
    [
        ("HALT", date(2026, 2, 17), date(2026, 3, 20)),
        ("HALT", date(2026, 9, 1), date(2026, 9, 30)),
        ("SPLT", date(2025, 8, 25), date(2025, 9, 19)),
        ("REVS", date(2026, 1, 20), date(2026, 2, 13)),
    ],
)
def test_halts_and_splits_are_stored_as_traded(
    desk: Callable[..., Desk], simulator: Simulator, symbol: str, first: date, last: date
) -> None:
    one = desk(symbol)
    one.fill(first, last)
    one.assert_exact(first, last)
    assert len(simulator.requests()) <= 2
    reasons = {row.reason for row in one.coverage(first, last).values()}
    assert reasons <= {None, Reason.UNCONFIRMED}


@pytest.mark.parametrize(
    ("symbol", "reasons", "whole_days"),
    [
        ("HALT", {"halted", "unconfirmed"}, {date(2025, 9, 17), date(2026, 9, 16)}),
        ("THIN", {"no_trade"}, None),
        ("AAPL", set(), set()),
    ],
)
def test_what_others_traded_through_is_a_halt_and_an_illiquid_symbol_has_no_trade(
    desk: Callable[..., Desk], symbol: str, reasons: set[str], whole_days: set[date] | None
) -> None:
    desk("MIDL").fill()
    one = desk(symbol)
    one.fill()
    rows = one.coverage()
    if symbol == "THIN":
        # A day without a trade that is the only one around.
        assert sum(row.unconfirmed > 0 for row in rows.values()) <= 2
        rows = {day: row for day, row in rows.items() if not row.unconfirmed}
    empty = {day for day, row in rows.items() if not row.bars}
    partly = [row for row in rows.values() if 0 < row.bars < row.expected]
    found = {rows[day].reason for day in empty} | {
        r for row in partly for r in row.absences.values()
    }
    assert found == reasons
    if whole_days is not None:
        assert empty == whole_days
    if symbol == "HALT":
        # 10:30 to 12:15 on each second Wednesday of March.
        assert {row.day: len(row.absences) for row in partly} == {
            date(2025, 3, 12): 7,
            date(2026, 3, 11): 7,
        }


def test_a_listing_is_believed_after_twenty_days_at_one_request_a_step(
    desk: Callable[..., Desk], simulator: Simulator
) -> None:
    one, days = desk("NEWCO"), (date(2024, 12, 2), date(2025, 7, 31))
    before = {s.day for s in one.sessions(*days) if s.day < date(2025, 6, 16)}
    one.fill(*days)
    rows = one.coverage(*days)
    assert {day for day, row in rows.items() if row.reason is Reason.UNCONFIRMED} == before
    assert all(row.bars == row.expected for day, row in rows.items() if day not in before)
    simulator.forget_requests()
    for later in (timedelta(days=1), timedelta(days=5), timedelta(days=20)):
        one.later = later
        one.fill(*days)
    assert len(simulator.requests()) == 3
    rows = one.coverage(*days)
    assert {day for day, row in rows.items() if row.reason is Reason.NOT_LISTED} == before
    one.later = timedelta(days=90)
    assert one.fill(*days) == []


def test_an_unknown_symbol_is_settled_and_believed_to_have_nothing_after_twenty_days(
    desk: Callable[..., Desk],
) -> None:
    one, days = desk("ZZTOP"), (date(2026, 10, 1), date(2026, 11, 19))
    for later, reason in [(0, Reason.UNCONFIRMED), (20, Reason.PROVIDER_EMPTY)]:
        one.later = timedelta(days=later)
        one.fill(*days)
        rows = one.coverage(*days).values()
        assert {(row.state, row.reason) for row in rows} == {(State.FINAL, reason)}


def test_what_the_plan_does_not_reach_is_cut_and_the_rest_is_exact(
    desk: Callable[..., Desk], other_simulator: Callable[..., Simulator]
) -> None:
    free = other_simulator(horizon_years=2)
    one = desk(simulator=free)
    first, last = date(2024, 6, 3), date(2025, 2, 28)
    one.fill(first, last)
    rows = one.coverage(first, last)
    assert {day for day, row in rows.items() if row.reason is Reason.PLAN_CUT} == {
        day for day in rows if day < date(2024, 11, 20)
    }
    one.assert_exact(date(2024, 11, 20), last)
    assert len(free.requests()) <= 8
    free.forget_requests()
    assert one.fill(first, last) == []
    assert one.fill(date(2024, 7, 1), date(2024, 7, 5), force=True)
    assert len(free.requests()) == 1


def test_the_first_sessions_of_a_window_are_known_to_be_cut_by_the_plan(
    desk: Callable[..., Desk], other_simulator: Callable[..., Simulator]
) -> None:
    free = other_simulator(horizon_years=2)
    one = desk(simulator=free)
    first, last = date(2024, 11, 11), date(2024, 12, 31)
    one.fill(first, last)
    rows = one.coverage(first, last)
    assert {day for day, row in rows.items() if row.reason is Reason.PLAN_CUT} == {
        day for day in rows if day < date(2024, 11, 20)
    }
    assert len(free.requests()) == 2
