"""Retention: old runs and rows go; no partition, no check and no session is forgotten."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from resources.platform.retention import Retention
from resources.storage import open_storage
from swiftbolt_assets.jobs.retention import dagster_database, keep_small
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.orchestration.instance import open_instance
from swiftbolt_assets.policy.retention import Month, month_to_order, reason_to_wait

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
ASSETS = ("m15_bars", "h1_bars", "h4_bars")
EVENTS = "select count(*) from event_logs where run_id = any(%s)"
MATERIALIZED = f"{EVENTS} and dagster_event_type = 'ASSET_MATERIALIZATION'"


def materialized(installation: Any) -> dict[str, set[str]]:
    with open_instance(installation.settings) as instance:
        return {
            name: set(instance.get_materialized_partitions(dg.AssetKey(name))) for name in ASSETS
        }


def count(installation: Any, statement: str, *runs: str) -> int:
    with dagster_database(installation.settings).transaction() as connection:
        row = connection.execute(statement, (list(runs),)).fetchone()
    return int(row[0]) if row else 0


def keep(installation: Any, days: int) -> list[str]:
    """Prune as if so many days had gone by."""
    storage = open_storage(installation.database, installation.settings.clock)
    try:
        now = datetime.now(UTC) + timedelta(days=days)
        return keep_small(storage, installation.settings, now)
    finally:
        storage.close()


def test_old_runs_go_and_every_partition_stays_materialized(installation: Any) -> None:
    first = installation.materialize("2026-11-16|AAPL", "2026-11-18|AAPL").run_id
    second = installation.materialize("2026-11-17|AAPL", "2026-11-19|AAPL").run_id
    runs = (first, second)
    before, covered = materialized(installation), installation.sql("select * from session_coverage")
    assert len(before["m15_bars"]) >= 4
    keep(installation, 29)
    assert count(installation, MATERIALIZED, *runs) == 18
    keep(installation, 31)
    with open_instance(installation.settings) as instance:
        assert [instance.get_run_by_id(run) for run in runs] == [None, None]
        check = dg.AssetCheckKey(dg.AssetKey("m15_bars"), "complete")
        outcome = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
    assert outcome[check].run_id == second
    # Of the first run the one session that the second did not report; of the second, all.
    assert count(installation, EVENTS, first) == 3
    assert count(installation, EVENTS, second) == count(installation, MATERIALIZED, second) == 9
    assert materialized(installation) == before
    # What a pruned run had reported gives way once a newer run is pruned in its turn.
    third = installation.materialize("2026-11-16|AAPL", "2026-11-19|AAPL").run_id
    keep(installation, 31)
    assert count(installation, EVENTS, *runs) == 0
    assert count(installation, EVENTS, third) == 12
    assert materialized(installation) == before
    assert installation.sql("select * from session_coverage") == covered


def test_audit_rows_go_and_open_work_stays(installation: Any) -> None:
    installation.materialize("2026-11-18|AAPL", "2026-11-19|AAPL")
    bars = installation.count("m15")
    installation.sql(
        "insert into job_runs (symbol, timeframe, job_type, slice_from, slice_to, status)"
        " select 'AAPL', 'm15', 'fetch_intraday', now() - n * interval '1 day', now(), s"
        " from unnest(array['queued', 'running', 'failed', 'success', 'cancelled'])"
        " with ordinality x (s, n)"
    )
    keep(installation, 31)
    left = installation.sql("select status from job_runs where symbol = 'AAPL' order by 1")
    assert {row[0] for row in left} == {"failed", "queued", "running"}
    assert installation.sql("select count(*) from provider_requests") == [(0,)]
    assert installation.count("m15") == bars
    book = Retention(installation.database)
    assert book.age() < timedelta(minutes=1)


def test_a_closed_month_is_laid_in_order_once_and_holds_the_same_bars(installation: Any) -> None:
    installation.materialize("2026-10-19|AAPL", "2026-10-23|MSFT")
    content = "select * from ohlc_bars_v2 order by symbol_id, timeframe, ts"
    before = installation.sql(content)
    installation.sql("analyze ohlc_bars_v2")
    assert any("2026-10 were laid in order" in line for line in keep(installation, 0))
    assert installation.sql(content) == before
    assert not any("2026-10" in line for line in keep(installation, 0))


def test_the_newest_month_that_is_over_and_small_enough_is_next() -> None:
    may, june, july = (Month(date(2026, month, 1), 1_000) for month in (5, 6, 7))
    assert month_to_order([may, june, july], date(2026, 7, 8)) == june
    assert month_to_order([may, june, july], date(2026, 7, 7)) == may
    assert month_to_order([Month(date(2026, 5, 1), 10_000_000)], date(2026, 7, 8)) is None
    assert month_to_order([Month(date(2026, 5, 1), 0)], date(2026, 7, 8)) is None


@pytest.mark.parametrize(
    ("hours", "instant", "waits"),
    [
        (3, "2026-11-20T22:30+00:00", "pruned 3 h ago"),
        (24, "2026-11-20T15:00+00:00", "the exchange is open"),
        (24, "2026-11-20T22:30+00:00", None),
        (24, "2026-11-21T15:00+00:00", None),
        # A machine that runs in session hours only.
        (80, "2026-11-20T15:00+00:00", None),
        # A clock that was set back.
        (-30, "2026-11-20T15:00+00:00", None),
    ],
)
def test_it_is_done_once_a_day_when_the_exchange_is_closed(
    hours: int, instant: str, waits: str | None
) -> None:
    reason = reason_to_wait(timedelta(hours=hours), datetime.fromisoformat(instant), xnys())
    assert reason is None if waits is None else waits in str(reason)
