"""Claims whose runs are over while slices are open: found, and given back to the queue.

A run may have been killed, with its code server or its daemon, or never been created; Dagster's
storage says which runs and backfills of a claim live. What belongs here: this comparison. What
does not: giving back (`resources/queue/slices.py`), and runs whose process is gone
(`lost_runs.py`).
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from dagster import DagsterRunStatus, RunsFilter

from swiftbolt_assets.dagster_private.backfills import (
    NOT_FINISHED_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
)
from swiftbolt_assets.orchestration.launching import CLAIM_TAG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster import DagsterInstance, DagsterRun, RunRecord

    from resources.queue.slices import OpenClaim, WorkQueue

#: A claim becomes a run within this time, or its daemon died between the two.
_LAUNCH_S = 60.0
#: Dagster starts a run again within this time after its process died.
_RETRY_S = 20.0
#: The database's clock says when a claim was made, the machine's when its backfill was.
_CLOCKS_DIFFER = timedelta(hours=1)
_LOST = "the process that worked on it is gone"
_CANCELLED = "cancelled in Dagster; swiftbolt backfill starts it again"


def reap(instance: DagsterInstance, work: WorkQueue, *, age_s: float = _RETRY_S) -> int:
    """Give back what lost claims hold; return how many rows that were.

    Args:
        instance: Dagster's.
        work: the queue.
        age_s: younger claims are not looked at.

    """
    old = [claim for claim in work.open_claims() if claim.age_s >= age_s]
    if not old:
        return 0
    live = _live(instance)
    dead = [claim for claim in old if str(claim.claim_id) not in live]
    ends = {claim.claim_id: _newest(instance, claim) for claim in dead}
    now = time.time()
    lost = [c.claim_id for c in dead if _is_lost(c, ends[c.claim_id], now)]
    by_hand = _cancelled_backfills(instance, dead) if lost else set()
    cancelled = [one for one in lost if str(one) in by_hand or _was_cancelled(ends[one])]
    count = work.cancel(cancelled, _CANCELLED)
    return count + work.release([c for c in lost if c not in cancelled], _LOST)


def _live(instance: DagsterInstance) -> set[str]:
    """Return the claims that a run or a backfill still works on, or will."""
    runs: Sequence[DagsterRun] = instance.get_runs(
        filters=RunsFilter(statuses=list(NOT_FINISHED_STATUSES))
    )
    backfills = instance.get_backfills(
        filters=BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING])
    )
    tags = [run.tags for run in runs] + [backfill.tags or {} for backfill in backfills]
    return {of_one[CLAIM_TAG] for of_one in tags if CLAIM_TAG in of_one}


def _newest(instance: DagsterInstance, claim: OpenClaim) -> RunRecord | None:
    records = instance.get_run_records(
        filters=RunsFilter(tags={CLAIM_TAG: str(claim.claim_id)}), limit=1
    )
    return records[0] if records else None


def _is_lost(claim: OpenClaim, newest: RunRecord | None, now: float) -> bool:
    if newest is None:
        return claim.age_s >= _LAUNCH_S
    return newest.end_time is None or now - newest.end_time >= _RETRY_S


def _was_cancelled(newest: RunRecord | None) -> bool:
    return newest is not None and newest.dagster_run.status is DagsterRunStatus.CANCELED


def _cancelled_backfills(instance: DagsterInstance, claims: Sequence[OpenClaim]) -> set[str]:
    """Return the claims whose backfill a person cancelled, maybe before it had a run."""
    since = min(claim.claimed_at for claim in claims) - _CLOCKS_DIFFER
    # Not by tag: Dagster's statement for that warns.
    backfills = instance.get_backfills(
        filters=BulkActionsFilter(statuses=[BulkActionStatus.CANCELED], created_after=since)
    )
    return {backfill.tags[CLAIM_TAG] for backfill in backfills if CLAIM_TAG in backfill.tags}
