"""The one module that launches runs: in this process, on the running platform, or from a sensor.

A run is one symbol and a range of days (Dagster's partition-range tags, what its own
`--partition-range` sets); sessions that are settled cost nothing in it. What belongs here:
creating and awaiting runs. What does not: which runs are wanted (the command line, the sensors).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from resources.postgres.connection import first_line
from swiftbolt_assets.assets.bars import FORCE_TAG, PRIORITY_TAG, PROBE_TAG, RECHECK_TAG
from swiftbolt_assets.assets.catalogue import asset_specs
from swiftbolt_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, BarKey
from swiftbolt_assets.dagster_private.storage import STORAGE_ERRORS
from swiftbolt_assets.errors import StorageError, SwiftBoltError
from swiftbolt_assets.orchestration.failures import is_interruption, reason_of
from swiftbolt_assets.orchestration.instance import (
    LOCATION,
    add_partitions,
    add_symbols,
    open_instance,
)
from swiftbolt_assets.orchestration.lost_runs import running_here
from swiftbolt_assets.orchestration.platform.presence import answers, find_platform
from swiftbolt_assets.orchestration.platform.web_ui import ask
from swiftbolt_assets.policy.admission import URGENT
from swiftbolt_assets.policy.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from dagster import (
        DagsterEvent,
        DagsterInstance,
        DagsterRun,
        JobDefinition,
        MultiPartitionsDefinition,
        RunRequest,
    )

    from resources.queue.rechecks import Recheck
    from resources.queue.slices import Claim, Slice
    from swiftbolt_assets.market.sessions import Calendar
    from swiftbolt_assets.orchestration.platform.presence import Platform
    from swiftbolt_assets.policy.shards import Shard
    from swiftbolt_assets.settings import Settings

T = TypeVar("T")

#: Marks the runs and the backfill of a claim.
CLAIM_TAG = "swiftbolt/claim"
#: What the limits on Dagster's runs go by (`configuration.py`).
LANE_TAG = "swiftbolt/lane"
FILL_TAG = "swiftbolt/fill"
#: So many slices go first as one plain run: what a minute's smallest budget carries. A backfill
#: waits up to 10 s for the daemon, a plain run one second.
_FIRST_SLICES = 5
_POLL_S = 0.5
#: A part of the platform that died answers again within this time.
_PATIENCE_S = 90.0
_SETTLED_S = 10.0
#: Dagster gives up a retry when the code location is away at that moment.
_ATTEMPTS = 3
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
    ... on PipelineNotFoundError { message }
  }
}
"""


@dataclass(frozen=True)
class RunSpec:
    """One wanted run.

    Attributes:
        symbol: canonical ticker.
        first: first day, a partition.
        last: last day, a partition.
        priority: of the run and of its requests.
        force: ask again for what is settled.
        probe: send one request through a cool-down.

    """

    symbol: str
    first: date
    last: date
    priority: int
    force: bool
    probe: bool

    @property
    def tags(self) -> dict[str, str]:
        """Return the run's tags."""
        tags = {
            RANGE_START_TAG: str(BarKey(self.first, self.symbol)),
            RANGE_END_TAG: str(BarKey(self.last, self.symbol)),
            PRIORITY_TAG: str(self.priority),
            FILL_TAG: "true",
            "symbol": self.symbol,
        }
        wanted = {FORCE_TAG: self.force, PROBE_TAG: self.probe}
        return tags | {tag: "true" for tag, is_set in wanted.items() if is_set}


def requests_for(
    claim: Claim, shard: Shard, partitions: MultiPartitionsDefinition, calendar: Calendar
) -> list[RunRequest]:
    """Return what launches a claim: its newest slices as a plain run, the rest as one backfill.

    The backfill is real, so that Dagster's Backfills page shows how far the symbol is.

    Args:
        claim: of a symbol.
        shard: the symbol's.
        partitions: of that shard's assets.
        calendar: the exchange's sessions.

    """
    from dagster import MultiPartitionKey, RunRequest

    from swiftbolt_assets.dagster_private.backfills import backfill_request

    assets = [spec.key for spec in asset_specs(shard)]
    first = _in_a_row(claim.slices, calendar)
    newest, rest = claim.slices[:first], claim.slices[first:]
    tags = {
        CLAIM_TAG: str(claim.claim_id),
        LANE_TAG: "urgent" if claim.priority >= URGENT else "bulk",
    }
    spec = RunSpec(
        claim.symbol, newest[-1].first, newest[0].last, claim.priority, force=False, probe=False
    )
    requests = [
        RunRequest(run_key=f"{claim.claim_id}", tags=spec.tags | tags, asset_selection=assets)
    ]
    if rest:
        keys = {
            MultiPartitionKey({"date": session.day.isoformat(), "symbol": claim.symbol})
            for part in rest
            for session in calendar.between(part.first, part.last)
        }
        subset = partitions.empty_subset().with_partition_keys(keys)
        requests.append(
            backfill_request(
                assets,
                subset,
                {
                    PRIORITY_TAG: str(claim.priority),
                    "symbol": claim.symbol,
                    CLAIM_TAG: str(claim.claim_id),
                    LANE_TAG: "bulk",
                    FILL_TAG: "true",
                },
            )
        )
    return requests


def recheck_request(recheck: Recheck, day: date, shard: Shard) -> RunRequest:
    """Return what asks once more for a symbol's newest session.

    Args:
        recheck: of a symbol.
        day: that session.
        shard: the symbol's.

    """
    from dagster import RunRequest

    spec = RunSpec(recheck.symbol, day, day, recheck.priority, force=True, probe=False)
    return RunRequest(
        run_key=str(recheck.claim_id),
        tags=spec.tags
        | {
            CLAIM_TAG: str(recheck.claim_id),
            RECHECK_TAG: str(recheck.claim_id),
            LANE_TAG: "urgent" if recheck.priority >= URGENT else "bulk",
        },
        asset_selection=[spec.key for spec in asset_specs(shard)],
    )


def _in_a_row(slices: Sequence[Slice], calendar: Calendar) -> int:
    """Return how many of the newest slices one range of days holds, and nothing between them.

    What lies between may wait, because the provider refuses it.
    """
    for position, (newer, older) in enumerate(pairwise(slices[:_FIRST_SLICES]), start=1):
        day = timedelta(days=1)
        if calendar.between(older.last + day, newer.first - day):
            return position
    return min(len(slices), _FIRST_SLICES)


def run_here(settings: Settings, job: JobDefinition, spec: RunSpec) -> None:
    """Execute a run of `job` in this process.

    Raises:
        SwiftBoltError: the run failed; the message is its reason.
        KeyboardInterrupt: it was interrupted.

    """
    from dagster import DagsterExecutionInterruptedError

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    run_id = str(uuid4())
    with open_instance(settings) as instance:
        add_partitions(instance, [spec.symbol], Shards(settings.shards))
        with running_here(settings, run_id):
            try:
                result = job.execute_in_process(
                    instance=instance,
                    tags=spec.tags,
                    raise_on_error=False,
                    run_config=quiet,
                    run_id=run_id,
                )
            except DagsterExecutionInterruptedError:
                result = None
        if result is None:
            raise KeyboardInterrupt
        if not result.success:
            failures = [e for e in result.all_events if e.is_step_failure]
            if any(map(is_interruption, failures)):
                raise KeyboardInterrupt
            raise SwiftBoltError(_reason(failures))


def run_on_platform(settings: Settings, job: str, spec: RunSpec) -> None:
    """Launch a run of a job on the platform and wait for its end.

    A run whose process dies is started again, by Dagster or from here; the wait goes on with that.

    Raises:
        SwiftBoltError: the run failed or was cancelled (the message is its reason), or the
            platform stopped.

    """
    import dagster as dg

    _patiently(lambda: add_symbols(settings, [spec.symbol]))
    for attempt in range(_ATTEMPTS):
        with open_instance(settings) as instance:
            run_id = _submit(settings, job, spec)
            run = _last_of_its_line(settings, instance, run_id)
            if run.status is dg.DagsterRunStatus.SUCCESS:
                return
            reason = _reason_of_run(instance, run.run_id)
        killed = run.status is dg.DagsterRunStatus.FAILURE and reason is None
        if not killed or attempt == _ATTEMPTS - 1:
            raise SwiftBoltError(reason or f"run {run.run_id} ended early; see the Dagster UI")


def _last_of_its_line(settings: Settings, instance: DagsterInstance, run_id: str) -> DagsterRun:
    """Return the ended run, or the last of those that Dagster started in its place."""
    while True:
        run = _awaited(settings, instance, run_id)
        successor = _successor(settings, instance, run_id)
        if successor is None:
            return run
        run_id = successor


def _submit(settings: Settings, job: str, spec: RunSpec) -> str:
    """Launch a run; the web UI may be starting again just now."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        platform = _platform(settings)
        if answers(platform):
            break
        if time.monotonic() > deadline:
            raise SwiftBoltError(
                f"the platform does not answer on {platform.dagster_url}; run swiftbolt doctor"
            )
        time.sleep(_POLL_S)
    params = {
        "selector": {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": job,
        },
        "runConfigData": {},
        "mode": "default",
        "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in spec.tags.items()]},
    }
    answer = ask(platform.dagster_port, _LAUNCH, {"params": params})["launchRun"]
    if answer["__typename"] != "LaunchRunSuccess":
        reason = first_line(Exception(answer.get("message") or answer["__typename"]))
        raise SwiftBoltError(f"the platform refused the run: {reason}")
    return str(answer["run"]["runId"])


def _platform(settings: Settings) -> Platform:
    platform = find_platform(settings)
    if platform is None:
        raise SwiftBoltError("the platform stopped; what was stored stays, start again to go on")
    return platform


def _awaited(settings: Settings, instance: DagsterInstance, run_id: str) -> DagsterRun:
    """Return a run that has ended."""
    while True:
        run = _patiently(lambda: instance.get_run_by_id(run_id))
        if run is None:
            raise SwiftBoltError(f"run {run_id} is gone from Dagster's storage; start again")
        if run.is_finished:
            return run
        _platform(settings)
        time.sleep(_POLL_S)


def _successor(settings: Settings, instance: DagsterInstance, run_id: str) -> str | None:
    """Return the run that Dagster starts in place of one whose process died, None without."""
    import dagster as dg

    from swiftbolt_assets.dagster_private.run_tags import SUCCESSOR_TAG, WILL_RETRY_TAG

    started = time.monotonic()
    while True:
        run = _patiently(lambda: instance.get_run_by_id(run_id))
        if run is None or run.status is not dg.DagsterRunStatus.FAILURE:
            return None
        if SUCCESSOR_TAG in run.tags:
            return run.tags[SUCCESSOR_TAG]
        # Dagster settles whether it retries a moment after the failure.
        will_retry = run.tags.get(WILL_RETRY_TAG)
        patience = {None: _SETTLED_S, "true": _PATIENCE_S}.get(will_retry, 0.0)
        if time.monotonic() - started > patience:
            return None
        _platform(settings)
        time.sleep(_POLL_S)


def _patiently(read: Callable[[], T]) -> T:
    """Return what `read` yields; the database may be starting again just now."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return read()
        except STORAGE_ERRORS as error:
            if time.monotonic() > deadline:
                raise StorageError(f"Dagster's database: {first_line(error)}") from error
        time.sleep(_POLL_S)


def _reason_of_run(instance: DagsterInstance, run_id: str) -> str | None:
    """Return why a run's step failed, None when none did: its process was killed, or cancelled."""
    records = _patiently(lambda: instance.all_logs(run_id))
    events = [r.dagster_event for r in records if r.dagster_event is not None]
    failures = [event for event in events if event.is_step_failure]
    return _reason(failures) if failures else None


def _reason(failures: list[DagsterEvent]) -> str:
    """Return why the first of them failed."""
    if not failures:
        return "the run failed before its first step; see the Dagster UI"
    return reason_of(failures[0])
