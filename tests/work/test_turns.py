"""How much a symbol is wanted and what its slices say is one truth, whoever meets whom."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import pytest

from resources.queue.tracking import track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from resources.postgres.database import Database
    from resources.queue.slices import WorkQueue

    Connection = psycopg.Connection[tuple[Any, ...]]

ANON = UUID(int=0)
WATCHED, SPENT = 300, 199
CEASE = """
delete from user_symbol_tracking t using symbols s where s.id = t.symbol_id and s.ticker = %s
"""
PLAN = "select plan_job_runs(null, 0)"


class Office(Protocol):
    """The committed queue of `conftest.py`."""

    database: Database
    queue: WorkQueue
    by_hand: Any


def watch(office: Office, *symbols: str) -> None:
    track(office.database, ANON, symbols, "watchlist")


def said(office: Office, symbol: str = "AAPL") -> list[int]:
    """Return the priorities that a symbol's slices have."""
    rows = office.by_hand.rows(
        "select distinct priority from job_runs where symbol = %s and status = 'queued'", symbol
    )
    return [row[0] for row in rows]


def slices(office: Office, symbol: str) -> int:
    return len(office.by_hand.rows("select from job_runs where symbol = %s", symbol))


@contextmanager
def meanwhile(office: Office, act: Callable[[], object]) -> Iterator[None]:
    """Have somebody act who waits for a lock when the block begins; his end is awaited."""
    waiting = "select count(*) from pg_locks where not granted"
    before = office.by_hand.rows(waiting)
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        end = time.monotonic() + 30
        while office.by_hand.rows(waiting) == before:
            assert not acting.done(), "it did not wait"
            assert time.monotonic() < end
            time.sleep(0.01)
        yield
        acting.result()


def cease(office: Office, symbol: str = "AAPL") -> None:
    with office.database.transaction() as other:
        other.execute(CEASE, (symbol,))


def test_a_symbol_that_is_removed_while_it_is_planned_delays_nobody(office: Office) -> None:
    watch(office, "AAPL")
    with office.database.connect(autocommit=False) as planner:
        planner.execute(PLAN)
        with meanwhile(office, lambda: cease(office)):
            planner.commit()
    assert said(office) == [SPENT]


def test_what_somebody_is_about_to_change_is_planned_after_that_and_all_else_at_once(
    office: Office,
) -> None:
    watch(office, "AAPL", "MSFT")
    with office.database.connect(autocommit=False) as other:
        other.execute(CEASE, ("AAPL",))
        office.queue.plan()
        assert (slices(office, "AAPL"), said(office, "MSFT")) == (0, [WATCHED])
        other.commit()
    office.queue.plan()
    assert said(office) == [SPENT]


def test_a_full_batch_is_planned_beside_more_symbols_than_that_which_somebody_holds(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.queue.slices.SYMBOLS_A_BATCH", 2)
    held = ["A", "B", "C"]
    watch(office, *held)
    track(office.database, ANON, ["D", "E", "F"], "recent_search")
    with office.database.connect(autocommit=False) as other:
        other.execute("delete from user_symbol_tracking where source = 'watchlist'")
        office.queue.plan()
        assert [bool(slices(office, one)) for one in "ABCDEF"] == [False] * 3 + [True] * 3


def test_two_who_cease_to_look_at_once_leave_nothing_behind(office: Office) -> None:
    watch(office, "AAPL")
    track(office.database, ANON, ["AAPL"], "chart_view")
    office.queue.plan()
    with office.database.connect(autocommit=False) as one:
        one.execute("delete from user_symbol_tracking where source = 'watchlist'")

        def other() -> None:
            with office.database.transaction() as second:
                second.execute("delete from user_symbol_tracking where source = 'chart_view'")

        with meanwhile(office, other):
            one.commit()
    assert said(office) == [SPENT]


def test_what_is_given_back_while_it_is_removed_is_wanted_no_more(office: Office) -> None:
    watch(office, "AAPL")
    office.queue.plan()
    claim = office.queue.claim(least_priority=0)
    assert claim
    with office.database.connect(autocommit=False) as other:
        other.execute(CEASE, ("AAPL",))
        with meanwhile(office, lambda: office.queue.release([claim.claim_id], "it ended")):
            other.commit()
    assert said(office) == [SPENT]


def test_slices_under_way_know_that_nobody_looks_any_more(office: Office) -> None:
    watch(office, "AAPL")
    office.queue.plan()
    claim = office.queue.claim(least_priority=0)
    assert claim
    office.queue.begin("AAPL", claim.slices[0].first, claim.slices[0].last)
    cease(office)
    (open_claim,) = office.queue.open_claims()
    assert open_claim.priority == SPENT


@pytest.mark.parametrize(
    "change",
    ["update job_definitions set enabled = false", "delete from job_definitions"],
)
def test_a_definition_that_is_switched_off_or_removed_takes_its_priority_along(
    office: Office, change: str
) -> None:
    office.by_hand.want("AAPL", "m15", priority=300)
    office.by_hand.want("AAPL", "h1", priority=100)
    office.queue.plan()
    assert said(office) == [300]
    office.by_hand.sql.execute(f"{change} where timeframe = 'm15'")
    assert said(office) == [100]
