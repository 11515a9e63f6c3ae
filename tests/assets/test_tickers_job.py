"""The list of tickers in Dagster: the job that pulls a page, the sensor that launches it."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from resources.dagster import HistoryResource, PostgresResource
from sensors.tickers import build_tickers_sensor
from swiftbolt_assets.definitions import build_definitions
from swiftbolt_assets.jobs.tickers import LIST_TICKERS
from swiftbolt_assets.orchestration.instance import open_instance
from swiftbolt_assets.policy.shards import WHOLE
from swiftbolt_assets.settings import read_settings

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
LIST = "/v3/reference/tickers"


def pull(installation: Any) -> Any:
    job = build_definitions(read_settings()).resolve_job_def(LIST_TICKERS)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with open_instance(installation.settings) as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False, run_config=quiet)


def tick(installation: Any, per_minute: int = 0) -> Any:
    settings = installation.settings
    history = HistoryResource(base_url=settings.history.url, requests_per_minute=per_minute)
    sensor = build_tickers_sensor(PostgresResource(), history)
    with open_instance(settings) as instance:
        return sensor(dg.build_sensor_context(instance))


@pytest.fixture(autouse=True)
def _settled(installation: Any) -> None:
    """Let the installation be some minutes old, and nothing be queued."""
    installation.sql("delete from job_runs")
    installation.sql("update ticker_list set created_at = clock_timestamp() - interval '6 minutes'")


def test_a_run_pulls_a_page_until_the_list_is_whole_and_makes_no_partition(
    installation: Any,
) -> None:
    installation.forget_requests()
    with open_instance(installation.settings) as instance:
        before = instance.get_dynamic_partitions(WHOLE.partition_set)
    pages = 0
    while isinstance(tick(installation), dg.RunRequest):
        assert pull(installation).success
        pages += 1
    assert pages == 13
    assert [entry["path"] for entry in installation.requests()] == [LIST] * 13
    assert installation.sql("select count(*) > 12000 from listed_tickers") == [(True,)]
    assert "nothing is due" in str(tick(installation).skip_message)
    with open_instance(installation.settings) as instance:
        assert instance.get_dynamic_partitions(WHOLE.partition_set) == before


def test_a_page_waits_while_anybody_uses_the_budget_or_bars_are_queued(installation: Any) -> None:
    assert isinstance(tick(installation, per_minute=5), dg.RunRequest)
    installation.sql("select rate_configure('polygon', 5, 60.5)")
    taken = "select slot from rate_try('polygon', null, 200, null, 120, 'somebody', 5, 60.5)"
    assert installation.sql(taken)[0][0] is not None
    assert "slots that nobody wants" in str(tick(installation, per_minute=5).skip_message)
    installation.sql("select plan_job_runs()")
    assert "bars go first" in str(tick(installation).skip_message)


def test_a_page_that_does_not_come_fails_its_run_with_the_reason_and_waits(
    installation: Any,
) -> None:
    installation.faults(kinds=["502"])
    failed = pull(installation)
    assert not failed.success
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    assert "polygon: HTTP 502" in str(step.step_failure_data.user_failure_data)
    assert "a failed page waits" in str(tick(installation).skip_message)


def test_without_a_key_for_history_the_sensor_says_so(
    installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADIER_TOKEN", "some-token")
    assert "POLYGON_API_KEY" in str(tick(installation).skip_message)
