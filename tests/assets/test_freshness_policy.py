"""The catalogue's freshness policy: closed time never breaks it, as Dagster itself evaluates it."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from itertools import pairwise

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import FRESHNESS_EVALUATORS_BY_POLICY_TYPE
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from swiftbolt_assets.assets.catalogue import asset_specs
from swiftbolt_assets.assets.freshness import policy
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.market.sessions import xnys

M15 = asset_specs()[0]


def new_york(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)


def state(reported: datetime, now: datetime) -> FreshnessState:
    """Return what the freshness daemon makes of a report, at an instant."""

    @dg.asset(name="m15_bars", freshness_policy=M15.freshness_policy)
    def m15_bars() -> None: ...

    node = dg.Definitions([m15_bars]).resolve_asset_graph().get(M15.key)
    evaluator = FRESHNESS_EVALUATORS_BY_POLICY_TYPE[type(M15.freshness_policy)]()
    with dg.DagsterInstance.ephemeral() as instance:
        with freeze_time(reported):
            instance.report_runless_asset_event(dg.AssetMaterialization(M15.key))
        with freeze_time(now):
            context = LoadingContextForTest(instance)
            return asyncio.run(evaluator.evaluate_freshness(context=context, node=node))


def test_every_asset_has_the_policy() -> None:
    assert {spec.freshness_policy for spec in asset_specs()} == {policy(xnys())}


@pytest.mark.parametrize(
    ("reported", "now"),
    [
        # Thanksgiving at noon, the Monday of a long weekend, and the longest closed time of all.
        (new_york(date(2025, 11, 26), 16, 1), new_york(date(2025, 11, 27), 12)),
        (new_york(date(2026, 1, 16), 16, 1), new_york(date(2026, 1, 19), 15, 45)),
        (new_york(date(2025, 7, 3), 13, 1), new_york(date(2025, 7, 7), 9, 31)),
        # A session under way.
        (new_york(date(2025, 11, 26), 12, 1), new_york(date(2025, 11, 26), 12, 16)),
    ],
)
def test_a_closed_exchange_alarms_nobody(reported: datetime, now: datetime) -> None:
    assert state(reported, now) is FreshnessState.PASS


def test_bars_that_nobody_reports_any_more_alarm() -> None:
    reported = new_york(date(2025, 11, 26), 16, 1)
    assert state(reported, reported + timedelta(days=4)) is FreshnessState.FAIL


def test_no_closed_time_of_the_calendar_breaks_the_policy() -> None:
    window = policy(xnys()).fail_window.to_timedelta()  # type: ignore[attr-defined]
    closed = [after.opens - before.closes for before, after in pairwise(xnys().sessions)]
    assert max(closed) < window < timedelta(days=4)
