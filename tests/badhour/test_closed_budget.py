"""A provider that refuses is asked ever later, and obeyed when it says how late."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.providers.rate_limit import PostgresLimiter
from swiftbolt_assets.errors import BudgetClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

TOO_MANY = (429, {"status": "ERROR", "error": "You've exceeded the maximum requests"}, {})
#: A minute of the provider's, scaled down for tests.
MINUTE_S = 1.0


class LockOut:
    """Allows some requests a minute; a refused one counts, and renews a lock-out."""

    def __init__(self, allowed: int, locked_s: float) -> None:
        self._allowed = allowed
        self._locked_s = locked_s
        self._until = 0.0
        self._sent: deque[float] = deque()
        self._lock = threading.Lock()

    def __call__(self, *_: object) -> Any:
        with self._lock:
            now = time.monotonic()
            while self._sent and self._sent[0] <= now - MINUTE_S:
                self._sent.popleft()
            self._sent.append(now)
            if now < self._until or len(self._sent) > self._allowed:
                self._until = now + self._locked_s
                return TOO_MANY
            return None


def test_a_lock_out_that_each_refusal_renews_is_waited_out(
    new_desk: Callable[..., Any], stand_in: Any
) -> None:
    """Seven refusals exactly a minute apart, and no progress."""
    stand_in.script = LockOut(4, 2 * MINUTE_S)
    desk = new_desk(
        budget={"per_minute": 10, "window_s": MINUTE_S * 1.01, "first_pause_s": MINUTE_S}
    )
    symbols = [f"S{n}" for n in range(20)]
    desk.track(*symbols)
    desk.rounds(lambda: desk.is_done(*symbols), 60)
    refused = [one for one in stand_in.asked if one.status == 429]
    assert len(refused) <= 6
    assert max(row[2] for row in desk.states()) == 1, "an attempt was used up"


@pytest.fixture
def budget(database_url: str) -> Any:
    one = PostgresLimiter(lambda: psycopg.connect(database_url), "polygon", 10)
    one.configure(10)
    yield one
    one.close()


def reopened(desk: Any) -> None:
    desk.sql("update rate_limit set closed_until = clock_timestamp() where name = 'polygon'")


def answer(desk: Any) -> None:
    desk.sql(
        "insert into provider_requests (provider, endpoint, sent_at, seconds, status, outcome,"
        " bars, base_minutes) values ('polygon', '/', clock_timestamp(), 0, 200, 'ok', 0, 0)"
    )


def pause_after_refusal(desk: Any, budget: Any) -> int:
    reopened(desk)
    return round(budget.refused(None))


def test_pauses_grow_over_all_processes_and_the_one_that_worked_comes_first_next_time(
    desk: Any, budget: Any, database_url: str
) -> None:
    other = PostgresLimiter(lambda: psycopg.connect(database_url), "polygon", 10)
    assert [pause_after_refusal(desk, one) for one in (budget, other, budget)] == [60, 120, 240]
    assert budget.refused(None) == pytest.approx(240, abs=1), "one of the same moment counted"
    answer(desk)
    assert pause_after_refusal(desk, other) == 240
    answer(desk)
    desk.sql("update rate_limit set refused_at = refused_at - interval '61 minutes'")
    assert pause_after_refusal(desk, budget) == 120
    answer(desk)
    desk.sql("update rate_limit set refused_at = refused_at - interval '1 day'")
    assert pause_after_refusal(desk, budget) == 60
    for _ in range(9):
        longest = pause_after_refusal(desk, budget)
    assert longest == 1200
    other.close()


def test_after_a_refusal_one_request_finds_out_and_a_second_refusal_teaches_the_pace(
    desk: Any, budget: Any
) -> None:
    pause_after_refusal(desk, budget)
    reopened(desk)
    assert budget.state().free == 1
    for _ in range(4):
        answer(desk)
    assert budget.state().free == 10
    pause_after_refusal(desk, budget)
    answer(desk)
    reopened(desk)
    assert budget.state().free == 4
    desk.sql("update rate_limit set slow_until = clock_timestamp()")
    assert budget.state().free == 10


def test_what_a_provider_says_is_obeyed_up_to_a_day(desk: Any, budget: Any) -> None:
    assert budget.refused(7200.0) == 7200
    assert budget.state().closed_s == pytest.approx(7200, abs=5)
    assert budget.refused(1e9) == 86_400
    with (
        pytest.raises(BudgetClosedError, match=r"not asked for 24\.0 h"),
        budget.slot(priority=300),
    ):
        pytest.fail("it went on without a slot")
    assert budget.state().closed_s == pytest.approx(86_400, abs=5)
    # The clock is set back by a year.
    desk.sql(
        "update rate_limit set closed_until = closed_until + interval '1 year',"
        " closed_at = closed_at + interval '1 year'"
    )
    with pytest.raises(BudgetClosedError), budget.slot(priority=300):
        pytest.fail("it went on without a slot")
    assert budget.state().closed_s <= 900


def test_a_run_does_not_sit_out_hours_and_its_slices_wait_for_the_end(
    new_desk: Callable[..., Any], stand_in: Any
) -> None:
    stand_in.script = lambda *_: (*TOO_MANY[:2], {"Retry-After": "7200"})
    desk = new_desk(budget={"per_minute": 10})
    desk.track("AAPL", "MSFT")
    desk.round()
    ((_, status, attempt, code), _) = desk.states()
    assert (status, attempt, code) == ("queued", 1, "RATE_LIMIT_EXCEEDED")
    ((wait,),) = desk.sql(
        "select extract(epoch from max(next_attempt_at) - clock_timestamp())::int from job_runs"
    )
    assert 7100 < wait <= 7200
    taken = desk.round()
    assert taken.claims == ()
    assert taken.sentence == "polygon: it asked to be left alone; not asked for 2.0 h"
    assert len(stand_in.asked) == 1
    stand_in.script = lambda *_: None
    reopened(desk)
    desk.sql("update job_runs set next_attempt_at = null")
    desk.rounds(lambda: desk.is_done("AAPL", "MSFT"))
