"""Whoever sees no bars yet is served before the deeper history of those that show some."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.providers.rate_limit import PostgresLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sql = Callable[..., list[tuple[Any, ...]]]

CHART, WATCHLIST, ASKED = 200, 300, 100
WANT = "select seed_intraday_backfill_job(%s, 'm15', 730, %s)"
SETTLE = """
insert into session_coverage (symbol_id, day, state, expected, bars, answers, provider, settled_at)
select s.id, m.day, 'final', 26, 26, 1, 'polygon', clock_timestamp()
  from symbols s cross join lateral (
    select day from market_sessions where day < market_today() order by day desc
    offset %s limit 1) m
 where s.ticker = %s
"""


@pytest.fixture
def sql(database_url: str) -> Iterator[Sql]:
    with psycopg.connect(database_url, autocommit=True) as connection:

        def run(statement: str, *arguments: object) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement, arguments)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def served(database_url: str) -> Iterator[Callable[..., list[str]]]:
    """Return who is served in which order, when they have asked one after the other."""
    made: list[PostgresLimiter] = []

    def limit() -> PostgresLimiter:
        one = PostgresLimiter(lambda: psycopg.connect(database_url), "polygon", 1, window_s=0.3)
        made.append(one)
        return one

    def serve(*requests: tuple[str, int]) -> list[str]:
        order: list[str] = []
        threads: list[threading.Thread] = []

        def ask(one: PostgresLimiter, symbol: str, priority: int, queued: threading.Event) -> None:
            with one.slot(priority=priority, symbol=symbol, on_wait=lambda _: queued.set()):
                order.append(symbol)

        # The places that wanting them announced would hold the first one up for ten seconds.
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("delete from rate_waiter")
        with limit().slot(priority=CHART):
            for symbol, priority in requests:
                queued = threading.Event()
                thread = threading.Thread(target=ask, args=(limit(), symbol, priority, queued))
                thread.start()
                threads.append(thread)
                assert queued.wait(30)
        for thread in threads:
            thread.join(60)
        return order

    yield serve
    for one in made:
        one.close()


def want(sql: Sql, symbol: str, priority: int, *, settled: int | None = None) -> tuple[str, int]:
    """Have a symbol wanted, of which the session so many before the newest is settled."""
    sql(WANT, symbol, priority)
    if settled is not None:
        sql(SETTLE, settled, symbol)
    return symbol, priority


def test_a_symbol_without_history_goes_before_deeper_history_of_what_people_look_at(
    sql: Sql, served: Callable[..., list[str]]
) -> None:
    deep = want(sql, "NVDA", WATCHLIST, settled=0)
    same = want(sql, "TSLA", CHART, settled=0)
    new = want(sql, "QQQ", CHART)
    assert served(deep, same, new) == ["QQQ", "NVDA", "TSLA"]


def test_the_newest_sessions_go_before_deeper_history_of_the_same_priority(
    sql: Sql, served: Callable[..., list[str]]
) -> None:
    deep = want(sql, "TSLA", CHART, settled=0)
    late = want(sql, "QQQ", CHART, settled=5)
    higher = want(sql, "NVDA", WATCHLIST, settled=0)
    assert served(deep, late, higher) == ["NVDA", "QQQ", "TSLA"]


def test_of_symbols_without_history_the_most_wanted_goes_first_then_who_came_first(
    sql: Sql, served: Callable[..., list[str]]
) -> None:
    first, second = want(sql, "A", CHART), want(sql, "B", CHART)
    watched = want(sql, "C", WATCHLIST)
    assert served(first, second, watched) == ["C", "A", "B"]


def test_what_no_person_looks_at_has_no_turn_before_anybody(
    sql: Sql, served: Callable[..., list[str]]
) -> None:
    background = want(sql, "A", ASKED)
    deep = want(sql, "B", CHART, settled=0)
    assert served(background, deep) == ["B", "A"]


def test_a_request_sinks_with_its_slice_when_nobody_looks_any_more(
    sql: Sql, served: Callable[..., list[str]]
) -> None:
    want(sql, "LEFT", 199, settled=0)
    looked_at = want(sql, "AMZN", CHART, settled=0)
    now = datetime.now(UTC)
    sql(
        "insert into job_runs (symbol, timeframe, job_type, slice_from, slice_to, status, priority,"
        " claim_id, claimed_at, started_at) values ('LEFT', 'm15', 'fetch_intraday', '2026-01-05',"
        " '2026-01-06', 'running', 199, gen_random_uuid(), %s, %s)",
        now,
        now,
    )
    assert served(("LEFT", WATCHLIST), looked_at) == ["AMZN", "LEFT"]


def test_an_announced_place_holds_against_deeper_history_and_is_its_own_symbols(
    database_url: str, sql: Sql
) -> None:
    """A slot is free, and the run of the symbol that was just opened does not stand yet."""
    deep = want(sql, "NVDA", CHART, settled=0)
    sql("delete from rate_waiter")
    new = want(sql, "QQQ", CHART)
    told = threading.Event()
    limits = [
        PostgresLimiter(lambda: psycopg.connect(database_url), "polygon", 1, window_s=0.1)
        for _ in range(2)
    ]

    def ask() -> None:
        with limits[0].slot(priority=deep[1], symbol=deep[0], on_wait=lambda _: told.set()):
            pass

    waiting = threading.Thread(target=ask)
    waiting.start()
    assert told.wait(30)
    began = time.monotonic()
    with limits[1].slot(priority=new[1], symbol=new[0]):
        assert time.monotonic() - began < 5
        assert waiting.is_alive()
    waiting.join(60)
    assert sql("select from rate_waiter") == []
    for one in limits:
        one.close()


def test_many_that_are_opened_at_once_do_not_wait_for_each_others_announced_places(
    database_url: str, sql: Sql
) -> None:
    opened = [want(sql, f"NEW{letter}", CHART) for letter in "ABCDEFGH"]
    assert sql("select count(*) from rate_waiter") == [(8,)]
    one = PostgresLimiter(lambda: psycopg.connect(database_url), "polygon", 5)
    began = time.monotonic()
    # The last one first: as their runs come.
    for symbol, priority in reversed(opened[3:]):
        with one.slot(priority=priority, symbol=symbol):
            pass
    assert time.monotonic() - began < 5
    one.close()


def test_who_looks_away_gives_the_announced_place_back(sql: Sql) -> None:
    sql("insert into symbols (ticker) values ('QQQ') on conflict do nothing")
    sql(
        "insert into user_symbol_tracking (user_id, symbol_id, source)"
        " select u.id, s.id, 'watchlist' from symbols s, auth.users u"
        " where s.ticker = 'QQQ' limit 1"
    )
    announced = "select holder, priority, turn from rate_waiter"
    assert sql(announced) == [("announced QQQ", WATCHLIST, 2)]
    sql("delete from user_symbol_tracking")
    assert sql(announced) == []
