"""Many symbols are planned in small transactions: new interest waits for one of them at most."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sensors.backfill import Rules, take_on

if TYPE_CHECKING:
    from datetime import date

pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")

_BATCH = "select planned from plan_due_symbols(null, %s, %s)"
_PLANNED = "select distinct symbol from job_runs order by 1"


def planned(one: Any) -> list[str]:
    return [symbol for (symbol,) in one.rows(_PLANNED)]


def test_a_batch_takes_the_most_wanted_first_and_says_how_many(planner: Any) -> None:
    for symbol, priority in (("AAA", 100), ("BBB", 300), ("CCC", 200), ("DDD", 60)):
        planner.want(symbol, priority=priority)
    assert planner.rows(_BATCH, 100, 2) == [(2,)]
    assert planned(planner) == ["BBB", "CCC"]
    assert planner.rows(_BATCH, 100, 2) == [(1,)]
    assert planned(planner) == ["AAA", "BBB", "CCC"]
    assert planner.rows(_BATCH, 100, 2) == [(0,)]
    assert planner.rows(_BATCH, 0, None) == [(1,)]


def test_a_symbol_that_nobody_wants_any_more_loses_its_slices_in_the_last_batch(
    planner: Any,
) -> None:
    planner.want("AAA", priority=100)
    planner.want("BBB", priority=100)
    planner.plan()
    planner.rows("update job_definitions set enabled = false where symbol = 'AAA' returning 1")
    planner.want("CCC", priority=100)
    assert planner.rows(_BATCH, 0, 1) == [(1,)]
    assert planner.slices("CCC")
    assert planner.slices("AAA")
    assert planner.rows(_BATCH, 0, 1) == [(1,)]
    assert planner.slices("AAA") == []
    assert planner.rows(_BATCH, 0, 1) == [(0,)]


def test_the_queue_plans_batch_after_batch_until_nothing_is_due(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.queue.slices.SYMBOLS_A_BATCH", 2)
    for number in range(5):
        office.by_hand.want(f"S{number}")
    assert office.queue.plan() == 5
    assert planned(office.by_hand) == [f"S{number}" for number in range(5)]
    assert not office.queue.plan_some().is_more


def test_whoever_wants_one_symbol_waits_for_the_batch_under_way_and_not_for_the_rest(
    office: Any,
) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        office.by_hand.want(symbol)
    with office.database.connect(autocommit=False) as batch, ThreadPoolExecutor(1) as others:
        batch.execute(_BATCH, (0, 1))
        newcomer = others.submit(office.queue.plan, symbol="CCC")
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while office.by_hand.rows(waiting) == [(0,)]:
            assert not newcomer.done()
        batch.commit()
        assert newcomer.result(timeout=30) == 1
    assert planned(office.by_hand) == ["AAA", "CCC"]


def test_the_first_symbols_begin_while_the_others_are_still_to_be_planned(
    tower: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.queue.slices.SYMBOLS_A_BATCH", 1)
    office = tower.office
    for number in range(3):
        office.by_hand.want(f"S{number}", priority=300)
    first_date: date = tower.settings.first_date
    storage = tower.storage()
    try:
        taken = take_on(storage, Rules(first_date, 5, background=False))
        assert [claim.symbol for claim in taken.claims] == ["S0"]
        assert taken.is_more
        assert planned(office.by_hand) == ["S0"]
        rest = [take_on(storage, Rules(first_date, 5, background=False)) for _ in range(3)]
    finally:
        storage.close()
    assert [[claim.symbol for claim in one.claims] for one in rest] == [["S1"], ["S2"], []]
    assert [one.is_more for one in rest] == [True, True, False]


def test_new_interest_in_the_middle_of_a_long_plan_is_planned_next(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.queue.slices.SYMBOLS_A_BATCH", 1)
    for number in range(3):
        office.by_hand.want(f"S{number}", priority=100)
    assert office.queue.plan_some().is_more
    office.by_hand.want("NEW", priority=300)
    assert office.queue.plan_some().is_more
    assert planned(office.by_hand) == ["NEW", "S0"]
