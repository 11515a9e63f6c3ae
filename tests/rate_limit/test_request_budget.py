"""One budget, in one process: what counts, who goes first, and what a fault costs."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.providers import rate_limit
from resources.providers.rate_limit import Grant, LimiterState, PostgresLimiter, Unlimited, limiter
from swiftbolt_assets.errors import BudgetClosedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URGENT, BULK = 300, 100
PEOPLES, SEED, SPARE = 100, 90, 0
TRACK = """
insert into user_symbol_tracking (user_id, symbol_id, source)
select u.id, s.id, %s from symbols s cross join (select id from auth.users limit 1) u
 where s.ticker = %s
"""


@pytest.fixture
def budget(database_url: str) -> Iterator[Callable[..., PostgresLimiter]]:
    """Return a maker of limiters on one budget; each is a process's own."""
    made: list[PostgresLimiter] = []

    def make(n: int, window_s: float = 60.0, **more: float) -> PostgresLimiter:
        one = PostgresLimiter(
            lambda: psycopg.connect(database_url), "p", n, window_s=window_s, **more
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def sql(database_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    with psycopg.connect(database_url, autocommit=True) as connection:

        def run(statement: str, *arguments: object) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement, arguments)
            return cursor.fetchall() if cursor.description else []

        yield run


def take(one: PostgresLimiter, priority: int = URGENT) -> bool:
    """Take a slot, use it and give it back; return False instead of waiting."""

    class WouldWaitError(Exception):
        pass

    def refuse(_seconds: float) -> None:
        raise WouldWaitError

    try:
        with one.slot(priority=priority, on_wait=refuse):
            return True
    except WouldWaitError:
        return False


def taken(one: PostgresLimiter, priority: int = URGENT) -> int:
    """Return how many slots can be taken at once."""
    count = 0
    while take(one, priority):
        count += 1
    return count


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "the condition never came"
        time.sleep(0.01)


def test_no_more_than_n_requests_pass_in_a_window(budget: Callable[..., PostgresLimiter]) -> None:
    one = budget(5)
    assert taken(one) == 5
    state = one.state()
    assert (state.per_window, state.free, state.waiting) == (5, 0, 0)
    assert 55 < state.next_free_s <= 60


def test_a_slot_counts_for_one_window_after_its_request_has_ended(
    budget: Callable[..., PostgresLimiter],
) -> None:
    one = budget(1, window_s=0.6)
    with one.slot(priority=URGENT):
        time.sleep(0.4)
        ended = time.monotonic()
    with one.slot(priority=URGENT):
        assert time.monotonic() - ended >= 0.6


def test_bulk_work_leaves_one_slot_free_for_urgent_work(
    budget: Callable[..., PostgresLimiter],
) -> None:
    one = budget(5)
    assert taken(one, BULK) == 4
    assert taken(one, URGENT) == 1


@pytest.mark.parametrize(
    ("priority", "per_minute", "most"),
    [
        *((PEOPLES, 5, 4), (PEOPLES, 2, 1), (PEOPLES, 1, 1)),
        *((SEED, 5, 1), (SEED, 3, 1), (SEED, 8, 2), (SEED, 40, 10), (SEED, 1, 1)),
        *((SPARE, 5, 1), (-1, 5, 1), (99, 5, 1), (199, 5, 4), (200, 5, 5), (300, 1, 1)),
    ],
)
def test_what_nobody_looks_at_has_a_quarter_of_the_budget_and_one_request_at_least(
    budget: Callable[..., PostgresLimiter], priority: int, per_minute: int, most: int
) -> None:
    one = budget(per_minute)
    assert taken(one, priority) == most
    assert taken(one, URGENT) == per_minute - most


def test_a_request_rises_with_its_symbol_while_it_waits(
    budget: Callable[..., PostgresLimiter], sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    one, own = budget(5), budget(5)
    assert taken(one, SEED) == 1
    passed = threading.Event()

    def work() -> None:
        with own.slot(priority=SEED, symbol="AAPL"):
            passed.set()

    waiting = threading.Thread(target=work)
    waiting.start()
    wait_for(lambda: one.state().waiting == 1)
    sql(TRACK, "chart_view", "AAPL")
    assert passed.wait(20)
    waiting.join()
    # Spare work of the same symbol does not.
    assert not take(one, SEED)


def test_the_reserve_never_takes_the_last_slot(budget: Callable[..., PostgresLimiter]) -> None:
    assert taken(budget(1), BULK) == 1


def test_the_urgent_overtake_and_equals_go_in_order_of_arrival(
    budget: Callable[..., PostgresLimiter],
) -> None:
    one = budget(2, window_s=0.5)
    assert taken(one) == 2
    order: list[str] = []

    def work(label: str, priority: int) -> None:
        own = budget(2, window_s=0.5)
        with own.slot(priority=priority):
            order.append(label)

    threads = []
    for number, (label, priority) in enumerate(
        [("first bulk", BULK), ("second bulk", BULK), ("urgent", URGENT)], start=1
    ):
        one.push(1.0)
        threads.append(threading.Thread(target=work, args=(label, priority)))
        threads[-1].start()
        wait_for(lambda number=number: one.state().waiting == number)
    for thread in threads:
        thread.join(20)
    assert order == ["urgent", "first bulk", "second bulk"]


def test_a_push_closes_the_budget_for_everybody_and_the_longest_counts(
    budget: Callable[..., PostgresLimiter],
) -> None:
    one, other = budget(5), budget(5)
    assert take(one)
    one.push(30)
    one.push(3)
    assert not take(other)
    state = other.state()
    assert state.free == 0
    assert 25 < state.next_free_s <= 30


def test_a_push_is_over_when_its_time_is(budget: Callable[..., PostgresLimiter]) -> None:
    one = budget(5)
    assert take(one)
    one.push(0.3)
    began = time.monotonic()
    with one.slot(priority=URGENT):
        assert time.monotonic() - began >= 0.29


def test_a_lowered_limit_holds_at_once(budget: Callable[..., PostgresLimiter]) -> None:
    one = budget(5)
    assert [take(one) for _ in range(3)] == [True] * 3
    one.configure(3)
    assert not take(one)


def test_lowering_and_raising_a_limit_opens_no_second_window(
    budget: Callable[..., PostgresLimiter],
) -> None:
    one = budget(5)
    assert taken(one) == 5
    one.configure(2)
    one.configure(5)
    assert not take(one)
    one.configure(7)
    assert taken(one) == 2


def test_requests_under_way_count_against_a_lowered_limit(
    budget: Callable[..., PostgresLimiter],
) -> None:
    one = budget(4, window_s=0.5)
    with ExitStack() as under_way:
        for _ in range(3):
            under_way.enter_context(one.slot(priority=URGENT))
        one.configure(2)
        assert not take(one)
    assert one.state().free == 0
    wait_for(lambda: one.state().free == 2)


def test_a_process_with_an_older_setting_changes_nothing(
    budget: Callable[..., PostgresLimiter],
) -> None:
    budget(3).configure(3)
    assert taken(budget(9)) == 3
    assert budget(9).state().per_window == 3


def test_a_dead_waiter_is_forgotten(
    budget: Callable[..., PostgresLimiter], sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    one = budget(2)
    assert take(one)
    sql(
        "insert into rate_waiter (name, priority, seen_until, holder) "
        "values ('p', 1000, clock_timestamp() + interval '1 hour', 'x')"
    )
    assert not take(one)
    sql("update rate_waiter set seen_until = clock_timestamp() - interval '1 ms'")
    assert take(one)
    assert sql("select count(*) from rate_waiter where name = 'p'") == [(0,)]


def test_a_crash_that_empties_the_queue_only_makes_the_waiters_enter_again(
    budget: Callable[..., PostgresLimiter], sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    one = budget(1, window_s=1.0)
    assert take(one)
    polls: list[float] = []

    def crash(seconds: float) -> None:
        polls.append(seconds)
        sql("truncate rate_waiter restart identity")

    with one.slot(priority=URGENT, on_wait=crash):
        assert polls


def test_an_interrupted_wait_leaves_the_queue(budget: Callable[..., PostgresLimiter]) -> None:
    one = budget(1)
    assert take(one)

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), one.slot(priority=URGENT, on_wait=interrupt):
        pytest.fail("it went on without a slot")
    assert one.state().waiting == 0


def test_the_expected_wait_is_told(budget: Callable[..., PostgresLimiter]) -> None:
    one = budget(2)
    assert taken(one) == 2
    told: list[float] = []

    def stop(seconds: float) -> None:
        told.append(seconds)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), one.slot(priority=URGENT, on_wait=stop):
        pytest.fail("it went on without a slot")
    assert 55 < told[0] <= 60


def test_a_database_clock_that_was_set_back_does_not_close_the_budget_for_long(
    budget: Callable[..., PostgresLimiter], sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    one = budget(1, lease_s=120)
    assert take(one)
    sql("update rate_slot set free_at = free_at + interval '1 year'")
    sql("update rate_limit set closed_until = clock_timestamp() + interval '1 year'")
    with pytest.raises(BudgetClosedError):
        take(one)
    assert one.state().next_free_s <= 900


def test_a_request_that_outlived_its_lease_counts_all_the_same(
    budget: Callable[..., PostgresLimiter], sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    """A suspended process sends late and reports late."""
    one = budget(1)
    with one.slot(priority=URGENT):
        sql("delete from rate_slot")
    assert not take(one)


def test_a_dead_holders_slot_comes_back_after_lease_and_window(
    budget: Callable[..., PostgresLimiter],
) -> None:
    one = budget(1, window_s=0.4, lease_s=0.4)
    began = time.monotonic()
    grant = one._take(URGENT, None, None)
    assert isinstance(grant, Grant)
    with one.slot(priority=URGENT):
        assert 0.79 < time.monotonic() - began < 10


def test_a_stricter_isolation_level_is_refused(database_url: str) -> None:
    """Its snapshot would not see what the last holder of the lock has taken."""

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(
            database_url, options="-c default_transaction_isolation=repeatable\\ read"
        )

    one = PostgresLimiter(connect, "p", 1)
    with pytest.raises(StorageError, match="read committed"), one.slot(priority=URGENT):
        pytest.fail("it went on without a slot")
    one.close()


def test_a_lost_connection_is_opened_again(
    budget: Callable[..., PostgresLimiter], sql: Callable[..., list[tuple[Any, ...]]]
) -> None:
    one = budget(5)
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
    kill += " and datname = current_database()"
    assert take(one)
    sql(kill)
    with one.slot(priority=URGENT):
        sql(kill)
    state = one.state()
    assert state.free == 3
    # Both slots were given back: neither waits for its lease.
    assert sql("select max(free_at) <= clock_timestamp() + interval '60 s' from rate_slot") == [
        (True,)
    ]


def test_a_slot_that_cannot_be_given_back_does_not_lose_the_reply(
    budget: Callable[..., PostgresLimiter],
    sql: Callable[..., list[tuple[Any, ...]]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = budget(1)
    with caplog.at_level(logging.WARNING), one.slot(priority=URGENT):
        sql("drop function rate_done")
    assert "stays taken until its lease ends" in caplog.text
    assert not take(one)


def test_nothing_passes_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "PATIENCE_S", 0.2)
    tries = []

    def connect() -> psycopg.Connection[Any]:
        tries.append(1)
        raise StorageError("database: it is away")

    one = PostgresLimiter(connect, "p", 1)
    with pytest.raises(StorageError, match=r"rate limit p: .*away"), one.slot(priority=URGENT):
        pytest.fail("it went on without a slot")
    assert len(tries) >= 2


def test_a_forked_child_uses_its_own_connection(budget: Callable[..., PostgresLimiter]) -> None:
    one = budget(3)
    assert take(one)
    child = os.fork()
    if child == 0:
        done = False
        try:
            done = take(one)
            one.close()
        finally:
            os._exit(0 if done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert take(one)
    assert one.state().free == 0


def test_threads_of_one_process_share_its_limiter(budget: Callable[..., PostgresLimiter]) -> None:
    one = budget(6)
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(take(one))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(results) <= 6
    assert taken(one) == 6 - sum(results)


def test_no_limit_means_no_waiting_except_for_a_refusal() -> None:
    def never() -> psycopg.Connection[Any]:
        pytest.fail("no limit needs no database")

    free = limiter(never, "p", 0)
    assert isinstance(free, Unlimited)
    free.configure(7)
    for _ in range(50):
        with free.slot(priority=BULK):
            pass
    assert free.state() == LimiterState(0, 0.0, 1, 0.0, 0)
    free.push(0.2)
    assert free.state().free == 0
    began = time.monotonic()
    waits: list[float] = []
    with free.slot(priority=BULK, on_wait=waits.append):
        assert time.monotonic() - began >= 0.19
    assert waits


def test_a_limit_below_one_is_no_limit(database_url: str) -> None:
    with pytest.raises(ValueError, match="use Unlimited"):
        PostgresLimiter(lambda: psycopg.connect(database_url), "p", 0)
