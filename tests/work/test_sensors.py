"""The sensors, tick by tick: what is launched, what is given back, and one sentence otherwise."""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID, uuid4

import dagster as dg
import pytest
from dagster._core.definitions.run_status_sensor_definition import (
    build_run_status_sensor_context,
)
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_run_for_test

from resources.providers.health import ProviderHealth
from sensors.failures import reason_of_failure, slices_to_release
from sensors.symbols import symbols_to_add
from swiftbolt_assets.assets.partitions import parse_keys
from swiftbolt_assets.assets.surroundings import CHART, SOURCES
from swiftbolt_assets.definitions import FILL_BARS
from swiftbolt_assets.errors import KeyRefusedError
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.orchestration.launching import CLAIM_TAG, FILL_TAG, LANE_TAG
from swiftbolt_assets.orchestration.lost_claims import reap
from swiftbolt_assets.policy.shards import WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster._core.definitions.sensor_definition import SensorExecutionData

    from resources.postgres.database import Database
    from resources.queue.slices import WorkQueue
    from swiftbolt_assets.settings import Settings

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    # Dagster uses it itself where a sensor asks for a backfill.
    pytest.mark.filterwarnings("ignore:Function `AssetSelection.keys` is deprecated"),
]
_START = "dagster/asset_partition_range_start"
_END = "dagster/asset_partition_range_end"
_BARS = {dg.AssetKey(f"{timeframe}_bars") for timeframe in ("m15", "h1", "h4")}


class Planner(Protocol):
    """The connection of `conftest.py`."""

    sql: Any

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...
    def want(
        self, symbol: str = ..., timeframe: str = ..., window: int = ..., priority: int = ...
    ) -> UUID: ...


class Office(Protocol):
    """The committed queue of `conftest.py`."""

    database: Database
    queue: WorkQueue
    by_hand: Planner

    def runs(self, symbol: str, columns: str) -> list[tuple[Any, ...]]: ...


class Tower(Protocol):
    """The code location over an office, of `conftest.py`."""

    office: Office
    instance: dg.DagsterInstance
    settings: Settings

    def definitions(self) -> dg.Definitions: ...
    def tick(self, *, cursor: str | None = None, **changes: object) -> SensorExecutionData: ...


def requests(tick: SensorExecutionData) -> Sequence[dg.RunRequest]:
    """Return what a tick launches; a tick launches, or says one sentence why not."""
    asked = tick.run_requests or []
    assert bool(asked) != bool(tick.skip_message), (asked, tick.skip_message)
    if tick.skip_message:
        assert "\n" not in tick.skip_message
    return asked


def test_a_definition_names_the_sensors_the_job_and_the_assets(tower: Tower) -> None:
    repository = tower.definitions().get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} >= {
        "backfill",
        "failed_runs",
        "symbol_partitions",
        "splits",
        "tickers",
    }
    for sensor in repository.sensor_defs:
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING, sensor.name
    assert FILL_BARS in repository.job_names
    graph = repository.asset_graph
    assert set(graph.materializable_asset_keys) == _BARS
    assert set(graph.external_asset_keys) == {*SOURCES, CHART}
    assert graph.get(dg.AssetKey("m15_bars")).parent_keys == {*SOURCES}
    assert graph.get(CHART).parent_keys == _BARS


def test_a_small_symbol_goes_as_one_plain_run_with_its_tags(tower: Tower) -> None:
    tower.office.by_hand.want("TSLA", window=30, priority=300)
    tick = tower.tick()
    (request,) = requests(tick)
    (open_claim,) = tower.office.queue.open_claims()
    assert request.tags == {
        _START: "2026-10-21|TSLA",
        _END: "2026-11-19|TSLA",
        "dagster/priority": "300",
        "symbol": "TSLA",
        CLAIM_TAG: str(open_claim.claim_id),
        FILL_TAG: "true",
        LANE_TAG: "urgent",
        "dagster/sensor_name": "backfill",
    }
    assert request.run_key == str(open_claim.claim_id)
    assert request.asset_graph_subset is None


def test_the_newest_five_slices_go_first_and_the_rest_as_one_backfill(tower: Tower) -> None:
    tower.office.by_hand.want("AAPL", window=730, priority=200)
    plain, rest = requests(tower.tick())
    spans = tower.office.runs("AAPL", "first_day, last_day")
    assert len(spans) == 10
    assert plain.tags[_START] == f"{spans[4][0]}|AAPL"
    assert plain.tags[_END] == f"{spans[0][1]}|AAPL"
    assert rest.asset_graph_subset is not None
    subsets = rest.asset_graph_subset.partitions_subsets_by_asset_key
    assert set(subsets) == _BARS
    older = {s.day for s in xnys().between(spans[-1][0], spans[5][1])}
    for subset in subsets.values():
        keys = parse_keys(subset.get_partition_keys())
        assert {key.symbol for key in keys} == {"AAPL"}
        assert {key.day for key in keys} == older
        assert len(keys) == len(older), "a session twice"
    claim = plain.tags[CLAIM_TAG]
    assert rest.tags == {
        "dagster/priority": "200",
        "symbol": "AAPL",
        CLAIM_TAG: claim,
        FILL_TAG: "true",
        LANE_TAG: "bulk",
        "dagster/sensor_name": "backfill",
    }


def test_a_symbol_that_nobody_waits_for_is_in_the_bulk_lane(tower: Tower) -> None:
    tower.office.by_hand.want("AAPL", priority=199)
    (request,) = requests(tower.tick())
    assert request.tags[LANE_TAG] == "bulk"


def test_symbols_become_partitions_in_one_batch(tower: Tower) -> None:
    tower.instance.add_dynamic_partitions(WHOLE.partition_set, ["MSFT"])
    for symbol in ("TSLA", "AAPL", "MSFT", "NVDA"):
        tower.office.by_hand.want(symbol, priority=300)
    tick = tower.tick()
    assert len(requests(tick)) == 4
    (added,) = tick.dynamic_partitions_requests or []
    assert list(added.partition_keys) == ["AAPL", "NVDA", "TSLA"]
    tower.instance.add_dynamic_partitions(WHOLE.partition_set, list(added.partition_keys))
    for symbol in ("AAPL", "NVDA"):
        tower.office.queue.cancel(
            [c.claim_id for c in tower.office.queue.open_claims() if c.symbol == symbol], "gone"
        )
    tower.office.by_hand.want("AAPL", window=90, priority=300)
    again = tower.tick()
    assert len(requests(again)) == 1
    assert not again.dynamic_partitions_requests


def test_an_idle_tick_says_so(tower: Tower) -> None:
    tick = tower.tick()
    assert requests(tick) == []
    assert tick.skip_message == "nothing is due; 0 symbols are worked on"


def test_a_full_house_says_so(tower: Tower) -> None:
    for n in range(7):
        tower.office.by_hand.want(f"S{n}", priority=300)
    assert len(requests(tower.tick(max_concurrent_jobs=5))) == 5
    full = tower.tick(max_concurrent_jobs=5)
    assert requests(full) == []
    assert full.skip_message == "5 symbols are worked on; no slot is free"


def test_slots_stay_free_for_what_is_looked_at(tower: Tower) -> None:
    for n in range(5):
        tower.office.by_hand.want(f"S{n}", priority=100)
    assert len(requests(tower.tick(max_concurrent_jobs=5))) == 3
    assert requests(tower.tick(max_concurrent_jobs=5)) == []
    tower.office.by_hand.want("TSLA", priority=300)
    (urgent,) = requests(tower.tick(max_concurrent_jobs=5))
    assert urgent.tags["symbol"] == "TSLA"


def test_a_cooling_provider_is_named_and_nothing_is_claimed(tower: Tower) -> None:
    tower.office.by_hand.want("TSLA", priority=300)
    ProviderHealth(tower.office.database.connect).failed(
        "polygon", "TSLA", KeyRefusedError("polygon: the key is refused\nfor ever")
    )
    tick = tower.tick()
    assert requests(tick) == []
    assert str(tick.skip_message).startswith("polygon: not asked before ")
    assert str(tick.skip_message).endswith("because: polygon: the key is refused for ever")
    assert tower.office.queue.open_claims() == []
    assert len(tower.office.runs("TSLA", "status")) == 1, "it is planned all the same"


def test_background_symbols_wait_for_people_and_stay_unplanned_when_switched_off(
    tower: Tower,
) -> None:
    tower.office.by_hand.want("MSFT", priority=60)
    tower.office.by_hand.want("AAPL", priority=40)
    assert requests(tower.tick(background=False)) == []
    assert tower.office.runs("MSFT", "status") == []
    (request,) = requests(tower.tick(background=True))
    assert request.tags["symbol"] == "MSFT"
    assert requests(tower.tick(background=True)) == [], "one at a time"
    tower.office.by_hand.want("TSLA", priority=100)
    (request,) = requests(tower.tick(background=True))
    assert request.tags["symbol"] == "TSLA"


def test_a_database_that_does_not_answer_is_an_error_and_no_empty_queue(
    tower: Tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIFTBOLT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Exception, match="database: "):
        tower.tick()


def test_a_changed_window_is_used_by_the_next_tick(tower: Tower) -> None:
    tower.office.by_hand.want("TSLA", window=5)
    (request,) = requests(tower.tick())
    assert request.tags[_START] == "2026-11-16|TSLA"
    tower.office.queue.cancel([UUID(request.tags[CLAIM_TAG])], "made anew")
    tower.office.by_hand.sql.execute("update job_definitions set window_days = 60")
    (request,) = requests(tower.tick())
    assert request.tags[_START] == "2026-09-21|TSLA"


def test_every_tick_leaves_a_heartbeat(tower: Tower) -> None:
    backfill = tower.definitions().get_repository_def().get_sensor_def("backfill")
    assert backfill.minimum_interval_seconds is not None
    assert backfill.minimum_interval_seconds <= 60
    tower.tick()
    active = "select active from cron.job where jobname = 'orchestrator-tick'"
    assert tower.office.by_hand.rows(active) == [(True,)]


def claim_of(tower: Tower, *, age_s: float, window_days: int = 30) -> UUID:
    """Let the sensor take on a symbol so long ago; its first slice has begun."""
    tower.office.by_hand.want("TSLA", window=window_days, priority=300)
    tower.tick()
    (claim,) = tower.office.queue.open_claims()
    tower.office.queue.begin("TSLA", date(2026, 11, 19), date(2026, 11, 19))
    tower.office.by_hand.sql.execute(
        "update job_runs set claimed_at = clock_timestamp() - make_interval(secs => %s)", (age_s,)
    )
    return claim.claim_id


def record_run(
    tower: Tower, claim: UUID, status: dg.DagsterRunStatus, *, ended_s: float | None = None
) -> dg.DagsterRun:
    """Record a run of a claim in Dagster's storage, ended so many seconds ago."""
    run = create_run_for_test(tower.instance, status=status, tags={CLAIM_TAG: str(claim)})
    if ended_s is not None:
        kind = {
            dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
            dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.RUN_CANCELED,
            dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
        }[status]
        event = dg.DagsterEvent(kind.value, FILL_BARS, message="it ended")
        tower.instance.report_dagster_event(event, run.run_id, timestamp=time.time() - ended_s)
    return run


def record_backfill(tower: Tower, claim: UUID, status: BulkActionStatus) -> None:
    tower.instance.add_backfill(
        PartitionBackfill(
            backfill_id=uuid4().hex[:8],
            status=status,
            from_failure=False,
            tags={CLAIM_TAG: str(claim)},
            backfill_timestamp=time.time(),
        )
    )


def states(tower: Tower) -> list[tuple[Any, ...]]:
    return tower.office.runs("TSLA", "status, attempt, claim_id is null")


KEPT = [("running", 1, False)]
GIVEN_BACK = [("queued", 2, True)]


@pytest.mark.parametrize(("age_s", "after"), [(10, KEPT), (50, KEPT), (61, GIVEN_BACK)])
def test_a_claim_without_any_run_is_given_back_after_a_minute(
    tower: Tower, age_s: float, after: list[tuple[Any, ...]]
) -> None:
    claim_of(tower, age_s=age_s)
    reap(tower.instance, tower.office.queue)
    assert states(tower) == after


@pytest.mark.parametrize(
    ("status", "ended_s", "after"),
    [
        (dg.DagsterRunStatus.FAILURE, 5.0, KEPT),
        (dg.DagsterRunStatus.FAILURE, 25.0, GIVEN_BACK),
        (dg.DagsterRunStatus.SUCCESS, 25.0, GIVEN_BACK),
        (dg.DagsterRunStatus.CANCELED, 25.0, [("cancelled", 1, True)]),
        (dg.DagsterRunStatus.NOT_STARTED, None, KEPT),
        (dg.DagsterRunStatus.STARTING, None, KEPT),
        (dg.DagsterRunStatus.STARTED, None, KEPT),
        (dg.DagsterRunStatus.CANCELING, None, KEPT),
    ],
)
def test_a_claim_ends_with_its_runs(
    tower: Tower,
    status: dg.DagsterRunStatus,
    ended_s: float | None,
    after: list[tuple[Any, ...]],
) -> None:
    """Failure mode 22: a killed worker's rows blocked their slices for ever."""
    claim = claim_of(tower, age_s=3600)
    record_run(tower, claim, status, ended_s=ended_s)
    reap(tower.instance, tower.office.queue)
    assert states(tower) == after


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (BulkActionStatus.REQUESTED, KEPT),
        (BulkActionStatus.CANCELING, KEPT),
        (BulkActionStatus.COMPLETED_SUCCESS, GIVEN_BACK),
        (BulkActionStatus.FAILED, GIVEN_BACK),
        (BulkActionStatus.CANCELED, [("cancelled", 1, True)]),
    ],
)
def test_a_claim_lives_as_long_as_its_backfill_and_is_cancelled_with_it(
    tower: Tower, status: BulkActionStatus, after: list[tuple[Any, ...]]
) -> None:
    """A backfill that a person cancelled before it had a run was taken on again at once."""
    claim = claim_of(tower, age_s=3600)
    record_run(tower, claim, dg.DagsterRunStatus.SUCCESS, ended_s=100.0)
    record_backfill(tower, claim, status)
    reap(tower.instance, tower.office.queue)
    assert states(tower) == after


def test_another_claims_run_keeps_nothing(tower: Tower) -> None:
    claim_of(tower, age_s=3600)
    record_run(tower, uuid4(), dg.DagsterRunStatus.STARTED)
    reap(tower.instance, tower.office.queue)
    assert states(tower) == GIVEN_BACK


def test_a_tick_gives_back_what_was_lost_now_and_then_and_takes_it_on_again(tower: Tower) -> None:
    lost = claim_of(tower, age_s=3600)
    waiting = tower.tick(cursor=f"{time.time():.3f}")
    assert requests(waiting) == []
    # A cursor from the future: the machine's clock was set back.
    for cursor in (f"{time.time() + 86400:.3f}", f"{time.time() - 60:.3f}", None):
        tick = tower.tick(cursor=cursor)
        (request,) = requests(tick)
        assert request.tags[CLAIM_TAG] != str(lost)
        assert tick.cursor is not None
        assert abs(float(tick.cursor) - time.time()) < 60
        tower.office.by_hand.sql.execute(
            "update job_runs set claimed_at = clock_timestamp() - interval '1 hour'"
        )


def tick_of_failure(
    tower: Tower, tags: dict[str, str], *steps: tuple[str, str | None]
) -> list[tuple[Any, ...]]:
    """Let the failure sensor see a run's end; its steps failed with (error class, description)."""
    run = create_run_for_test(tower.instance, status=dg.DagsterRunStatus.STARTED, tags=tags)
    for cls_name, description in steps:
        data = dg.DagsterEvent(
            dg.DagsterEventType.STEP_FAILURE.value,
            FILL_BARS,
            step_key="bars",
            event_specific_data=step_failure(cls_name, description),
            message="step failed",
        )
        tower.instance.report_dagster_event(data, run.run_id)
    event = dg.DagsterEvent(
        dg.DagsterEventType.RUN_FAILURE.value, FILL_BARS, message="Run worker is gone\nmore"
    )
    sensor = tower.definitions().get_repository_def().get_sensor_def("failed_runs")
    context = build_run_status_sensor_context(
        sensor_name="failed_runs",
        dagster_event=event,
        dagster_instance=tower.instance,
        dagster_run=run,
    ).for_run_failure()
    sensor(context)  # type: ignore[operator]
    return tower.office.runs(
        "TSLA", "status, attempt, error_code, error_message, next_attempt_at is not null"
    )


def step_failure(cls_name: str, description: str | None) -> Any:  # noqa: ANN401
    from dagster._core.execution.plan.objects import StepFailureData, UserFailureData
    from dagster_shared.error import SerializableErrorInfo

    error = SerializableErrorInfo(f"{cls_name}: it broke\nthere", [], cls_name)
    told = None if description is None else UserFailureData("bars", description)
    return StepFailureData(error, told)


def span_tags(claim: UUID) -> dict[str, str]:
    return {CLAIM_TAG: str(claim), _START: "2026-10-21|TSLA", _END: "2026-11-19|TSLA"}


def test_a_killed_runs_slices_wait_again_at_once(tower: Tower) -> None:
    claim = claim_of(tower, age_s=0)
    assert tick_of_failure(tower, span_tags(claim)) == [
        ("queued", 2, "STALE_RUNNING", "Run worker is gone", False)
    ]


def test_a_run_that_was_told_to_stop_counts_as_killed(tower: Tower) -> None:
    claim = claim_of(tower, age_s=0)
    step = ("DagsterExecutionInterruptedError", None)
    ((status, _, code, _, waits),) = tick_of_failure(tower, span_tags(claim), step)
    assert (status, code, waits) == ("queued", "STALE_RUNNING", False)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (("Failure", "POLYGON_API_KEY: it is unset"), "POLYGON_API_KEY: it is unset"),
        (("KeyError", None), "KeyError: it broke there"),
    ],
)
def test_a_run_that_failed_by_itself_says_why_and_waits(
    tower: Tower, step: tuple[str, str | None], message: str
) -> None:
    claim = claim_of(tower, age_s=0)
    assert tick_of_failure(tower, span_tags(claim), step) == [
        ("queued", 2, "API_ERROR", message, True)
    ]


def test_only_the_failed_runs_days_are_given_back(tower: Tower) -> None:
    claim = claim_of(tower, age_s=0, window_days=120)
    tags = span_tags(claim) | {_START: "2026-11-10|TSLA"}
    tick_of_failure(tower, tags)
    assert tower.office.runs("TSLA", "claim_id is null") == [(True,), (False,)]


@pytest.mark.parametrize(
    ("more", "given"),
    [
        ({}, True),
        ({"dagster/will_retry": "false"}, True),
        ({"dagster/will_retry": "true"}, False),
    ],
)
def test_what_dagster_starts_again_is_not_given_back(more: dict[str, str], *, given: bool) -> None:
    claim = uuid4()
    span = (date(2026, 10, 21), date(2026, 11, 19))
    expected = (claim, span) if given else None
    assert slices_to_release(span_tags(claim) | more) == expected
    assert slices_to_release({CLAIM_TAG: str(claim)} | more) == ((claim, None) if given else None)


def test_runs_without_a_claim_are_left_alone() -> None:
    assert slices_to_release({}) is None
    assert slices_to_release({_START: "2026-10-21|TSLA", _END: "2026-11-19|TSLA"}) is None
    assert reason_of_failure([]) is None


def test_a_symbol_of_the_database_becomes_a_partition_once(tower: Tower) -> None:
    assert symbols_to_add(["TSLA", "AAPL", "MSFT"], ["MSFT", "GONE"]) == ["AAPL", "TSLA"]
    for symbol in ("TSLA", "AAPL"):
        tower.office.by_hand.want(symbol, priority=300)
    tower.office.by_hand.want("IDLE", priority=60)
    definitions = tower.definitions()
    sensor = definitions.get_repository_def().get_sensor_def("symbol_partitions")
    context = dg.build_sensor_context(instance=tower.instance, definitions=definitions)
    tick = sensor.evaluate_tick(context)
    assert tick.skip_message == "added 2 symbols as partitions: AAPL, TSLA"
    (added,) = tick.dynamic_partitions_requests or []
    tower.instance.add_dynamic_partitions(WHOLE.partition_set, list(added.partition_keys))
    again = sensor.evaluate_tick(context)
    assert again.skip_message == "all 2 symbols are partitions already"
    assert not again.dynamic_partitions_requests
