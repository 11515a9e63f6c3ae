"""Pressed buttons become runs of one day, in turn with slices, and are given back like them."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from resources.queue.rechecks import RecheckBook, press
from swiftbolt_assets.orchestration.launching import CLAIM_TAG, LANE_TAG
from swiftbolt_assets.orchestration.lost_claims import reap

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")

NEWEST = date(2026, 11, 20)


def pressed(tower: Any, symbol: str, priority: int = 300) -> None:
    with tower.office.database.transaction() as connection:
        connection.execute(
            "insert into symbols (ticker) values (%s) on conflict do nothing", (symbol,)
        )
        press(connection, [symbol], priority)


def state(tower: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = tower.office.by_hand.rows(
        "select claim_id is null, ended_at is null, failures from rechecks"
    )
    return rows


def test_a_press_becomes_one_run_of_the_newest_session(tower: Any) -> None:
    pressed(tower, "TSLA")
    (request,) = tower.tick().run_requests
    (claim,) = tower.office.queue.open_claims()
    assert request.run_key == str(claim.claim_id)
    assert {
        "dagster/asset_partition_range_start": "2026-11-20|TSLA",
        "dagster/asset_partition_range_end": "2026-11-20|TSLA",
        "swiftbolt/recheck": str(claim.claim_id),
        "swiftbolt/force": "true",
        CLAIM_TAG: str(claim.claim_id),
        LANE_TAG: "urgent",
    }.items() <= request.tags.items()
    pressed(tower, "TSLA")
    assert not tower.tick().run_requests


def test_without_live_bars_it_is_yesterdays_session_and_the_fill_goes_first(
    tower: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(tower.settings), "has_live", property(lambda _: False))
    tower.office.by_hand.want("TSLA", window=5, priority=300)
    pressed(tower, "TSLA")
    (fill,) = tower.tick().run_requests
    assert "swiftbolt/recheck" not in fill.tags
    assert not tower.tick().run_requests
    days = [first for first, _ in tower.office.by_hand.slices("TSLA", "queued")]
    assert days
    pressed(tower, "MSFT")
    (request,) = tower.tick().run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "2026-11-19|MSFT"


def test_a_reload_leaves_slots_to_what_is_looked_at(tower: Any) -> None:
    for n in range(5):
        pressed(tower, f"S{n}", priority=100)
    assert len(tower.tick(max_concurrent_jobs=5).run_requests) == 3
    assert not tower.tick(max_concurrent_jobs=5).run_requests
    pressed(tower, "TSLA")
    (urgent,) = tower.tick(max_concurrent_jobs=5).run_requests
    assert urgent.tags["symbol"] == "TSLA"


@pytest.mark.parametrize(("age_s", "after"), [(50, (False, True, 0)), (61, (True, True, 1))])
def test_a_claim_without_a_run_is_given_back_after_a_minute(
    tower: Any, age_s: float, after: tuple[Any, ...]
) -> None:
    pressed(tower, "TSLA")
    tower.tick()
    tower.office.by_hand.sql.execute(
        "update rechecks set claimed_at = clock_timestamp() - make_interval(secs => %s)", (age_s,)
    )
    reap(tower.instance, tower.office.queue)
    assert state(tower) == [after]


def test_a_second_request_begins_a_minute_after_the_first_whoever_begins_it(tower: Any) -> None:
    pressed(tower, "TSLA")
    tower.tick()
    (claim,) = tower.office.queue.open_claims()
    book = RecheckBook(tower.office.database)
    assert book.begin(claim.claim_id, NEWEST)
    assert not book.begin(claim.claim_id, NEWEST), (
        "the run that Dagster starts in place of a killed one"
    )
    tower.office.queue.release([claim.claim_id], "it died")
    assert not tower.tick().run_requests, "not before a minute is over"
    tower.office.by_hand.sql.execute(
        "update rechecks set request_at = request_at - interval '1 minute',"
        " due_at = due_at - interval '1 minute'"
    )
    assert len(tower.tick().run_requests) == 1


def test_a_claim_whose_press_was_answered_by_another_way_asks_nobody(tower: Any) -> None:
    pressed(tower, "TSLA")
    tower.tick()
    (claim,) = tower.office.queue.open_claims()
    tower.office.by_hand.sql.execute(
        "insert into session_coverage"
        " (symbol_id, day, state, expected, bars, answers, provider)"
        " select id, %s, 'provisional', 26, 26, 0, 'tradier' from symbols where ticker = 'TSLA'",
        (NEWEST,),
    )
    assert not RecheckBook(tower.office.database).begin(claim.claim_id, NEWEST)
    tower.office.queue.release([claim.claim_id], "nothing was to be asked")
    assert not tower.tick().run_requests
    assert state(tower) == [(True, False, 1)]


def test_what_a_person_cancels_in_dagster_is_not_asked_again(tower: Any) -> None:
    pressed(tower, "TSLA")
    tower.tick()
    (claim,) = tower.office.queue.open_claims()
    tower.office.queue.cancel([claim.claim_id], "cancelled in Dagster")
    assert state(tower) == [(True, False, 0)]
    assert not tower.tick().run_requests
