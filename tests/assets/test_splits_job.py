"""Splits in Dagster: the check that compares them with prices, the job that looks them up."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from resources.dagster import HistoryResource, PostgresResource
from sensors.splits import build_splits_sensor
from swiftbolt_assets.definitions import build_definitions
from swiftbolt_assets.jobs.splits import LOOK_UP_SPLITS
from swiftbolt_assets.orchestration.instance import open_instance
from swiftbolt_assets.policy.shards import WHOLE
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
#: The simulator's SPLT splits 10:1 on Monday 2025-09-08.
NIGHT = ("2025-09-05|SPLT", "2025-09-09|SPLT")
EXECUTED = date(2025, 9, 8)
SPLITS = "/stocks/v1/splits"


def look_up(installation: Any) -> Any:
    job = build_definitions(read_settings()).resolve_job_def(LOOK_UP_SPLITS)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with open_instance(installation.settings) as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False, run_config=quiet)


def tick(installation: Any) -> Any:
    settings = installation.settings
    history = HistoryResource(base_url=settings.history.url, requests_per_minute=0)
    sensor = build_splits_sensor(PostgresResource(), history)
    with open_instance(settings) as instance:
        return sensor(dg.build_sensor_context(instance))


def asked(installation: Any) -> list[dict[str, Any]]:
    return [entry for entry in installation.requests() if entry["path"] == SPLITS]


@pytest.fixture
def splt(installation: Any) -> Iterator[Any]:
    """Give the installation, and forget SPLT afterwards: ranges of others' tests would span it."""
    yield installation
    with open_instance(installation.settings) as instance:
        instance.delete_dynamic_partition(WHOLE.partition_set, "SPLT")


def test_a_jump_that_no_known_split_explains_is_a_warning_until_it_is_known(splt: Any) -> None:
    installation = splt
    installation.sql("delete from job_runs")
    installation.forget_requests()
    run = installation.materialize(*NIGHT)
    check = run.checks["m15_bars.splits_explain_prices"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert check.metadata["nights"].value == 2
    assert check.metadata["first"].value.startswith("2025-09-08: the price jumps like a split")
    assert look_up(installation).success
    stored = installation.sql("select max(ctid::text), max(xmin::text) from ohlc_bars_v2")
    again = installation.materialize(*NIGHT)
    assert again.checks["m15_bars.splits_explain_prices"].passed
    assert installation.sql("select max(ctid::text), max(xmin::text) from ohlc_bars_v2") == stored
    # The day's request and SPLT's own; the bars took what they take without splits.
    assert len(asked(installation)) == 2
    # A day off it is folded where the price shows it; where none does, it is in doubt.
    installation.sql("update splits set execution_date = '2025-09-09'")
    moved = installation.materialize(*NIGHT).checks["m15_bars.splits_explain_prices"]
    assert moved.passed
    assert installation.sql("select state, effective_date from splits") == [("moved", EXECUTED)]
    installation.sql("update splits set split_to = 0.1")
    wrong = installation.materialize(*NIGHT).checks["m15_bars.splits_explain_prices"]
    assert wrong.metadata["doubts"].value == 2
    assert "the price does not show it" in wrong.metadata["first"].value


def newest_evaluation(installation: Any) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(dg.AssetKey("m15_bars"), "splits_explain_prices")
    with open_instance(installation.settings) as instance:
        storage = instance.event_log_storage
        record = storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


def test_the_check_is_evaluated_again_when_the_list_has_come(splt: Any) -> None:
    installation = splt
    installation.sql("delete from job_runs")
    assert not installation.materialize(*NIGHT).checks["m15_bars.splits_explain_prices"].passed
    assert not newest_evaluation(installation).passed
    assert look_up(installation).success
    told = newest_evaluation(installation)
    assert told.passed
    assert told.severity is dg.AssetCheckSeverity.WARN
    assert (told.metadata["symbols"].value, told.metadata["doubts"].value) == ("SPLT", 0)


def test_a_split_that_never_happened_fails_the_check_until_the_list_is_mended(
    install: Callable[..., Any],
) -> None:
    mistakes: dict[str, tuple[str, ...]] = {"REVS": ("never",)}
    installation = install(listing_errors=mistakes)
    installation.sql("delete from job_runs")
    # Ten sessions before 2026-11-20 a split 2:1 is listed that no price shows.
    run = installation.materialize("2026-11-02|REVS", "2026-11-10|REVS")
    assert run.checks["m15_bars.splits_explain_prices"].passed
    assert look_up(installation).success
    told = newest_evaluation(installation)
    assert not told.passed
    assert told.metadata["first"].value.startswith("2026-11-06: a split is known, but")
    # Another symbol's good news does not hide it.
    installation.materialize(*NIGHT)
    assert look_up(installation).success
    told = newest_evaluation(installation)
    assert (told.passed, told.metadata["symbols"].value) == (False, "REVS, SPLT")
    assert "nothing is due" in str(tick(installation).skip_message)
    # Hours later by the market's clock the symbol is asked about again.
    mistakes.clear()
    installation.sql("update split_lookups set ask_again_at = market_now() where symbol = 'REVS'")
    assert look_up(installation).success
    told = newest_evaluation(installation)
    assert (told.passed, told.metadata["symbols"].value) == (True, "REVS")
    assert installation.sql(
        "select count(*) from split_lookups where ask_again_at is not null"
    ) == [(0,)]
    with open_instance(installation.settings) as instance:
        for symbol in ("REVS", "SPLT"):
            instance.delete_dynamic_partition(WHOLE.partition_set, symbol)


def test_the_sensor_launches_what_is_due_and_says_why_not(installation: Any) -> None:
    installation.sql("delete from job_runs")
    request = tick(installation)
    assert isinstance(request, dg.RunRequest)
    assert request.tags["dagster/priority"] == "-1"
    assert look_up(installation).success
    assert "nothing is due" in str(tick(installation).skip_message)


def test_nothing_is_asked_while_the_provider_cools_down(installation: Any) -> None:
    installation.sql("delete from job_runs")
    installation.sql(
        "insert into provider_health (provider, failures, cooling_until, reason, error_code)"
        " values ('polygon', 3, clock_timestamp() + interval '5 minutes', 'away', 'API_ERROR')"
    )
    assert "not asked before" in str(tick(installation).skip_message)


def test_a_run_fails_with_the_reason_and_waits(installation: Any) -> None:
    installation.sql("delete from job_runs")
    installation.forget_requests()
    installation.faults(kinds=["502"])
    failed = look_up(installation)
    assert not failed.success
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    assert "splits of all symbols: polygon: HTTP 502" in str(
        step.step_failure_data.user_failure_data
    )
    assert len(asked(installation)) == 1
    assert "nothing is due" in str(tick(installation).skip_message)


def test_without_a_key_for_history_the_sensor_says_so(
    installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADIER_TOKEN", "some-token")
    assert "POLYGON_API_KEY" in str(tick(installation).skip_message)
