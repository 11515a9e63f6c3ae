"""From interest to runs: plans what is missing, claims what is wanted most, and launches it.

A tick waits a few seconds on the database's announcements, so that a new row is seen at once, and
ends in requests or in one sentence. What belongs here: the order of a tick. What does not: planning
and claiming (SQL behind `resources/queue/slices.py`), who may be claimed (`policy/admission.py`),
and what is launched (`orchestration/launching.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import dagster as dg

from resources.providers.health import ProviderHealth
from resources.providers.rate_limit import PATIENT_S, closed_error, closed_for
from resources.providers.registry import HISTORY, TODAY
from resources.queue.rechecks import RecheckBook
from resources.storage import open_storage
from swiftbolt_assets.assets.catalogue import GROUP
from swiftbolt_assets.assets.partitions import bar_partitions, symbol_set
from swiftbolt_assets.clock import new_york_date
from swiftbolt_assets.filling.delisted import look_for_delisted
from swiftbolt_assets.market.hours import newest_session
from swiftbolt_assets.orchestration.launching import recheck_request, requests_for
from swiftbolt_assets.orchestration.lost_claims import reap
from swiftbolt_assets.policy.admission import least_priority, lowest
from swiftbolt_assets.policy.shards import UNDIVIDED, Shards

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from resources.dagster import PostgresResource
    from resources.queue.rechecks import Recheck
    from resources.queue.slices import Claim
    from resources.storage import Storage

#: Sensors are evaluated one after another, so the others wait meanwhile: no longer than the five
#: seconds that Dagster's own loop would let them wait.
_WAIT_S = 4.5
_REAP_EVERY_S = 10.0


@dataclass(frozen=True)
class Rules:
    """How much is taken on.

    Attributes:
        first_date: the first partition.
        most: symbols that are worked on at once.
        background: whether the platform's own symbols are filled.
        shards: whose assets are launched.
        has_live: whether today's bars are to be had.

    """

    first_date: date
    most: int
    background: bool
    shards: Shards = UNDIVIDED
    has_live: bool = True


@dataclass(frozen=True)
class Taken:
    """What one look at the queue came to.

    Attributes:
        claims: what is to be launched.
        rechecks: what is to be asked for once more, of the day.
        sentence: why there is nothing else.
        is_more: whether symbols wait to be planned: the next look need not wait.
        again_s: when to look again though nothing is announced, None for no need.

    """

    claims: tuple[Claim, ...]
    sentence: str
    is_more: bool = False
    again_s: float | None = None
    rechecks: Sequence[tuple[Recheck, date]] = ()

    @property
    def symbols(self) -> list[str]:
        """Return whom it is about, ascending, none twice."""
        rechecked = [recheck.symbol for recheck, _ in self.rechecks]
        return sorted({*rechecked, *(claim.symbol for claim in self.claims)})


def build_backfill_sensor(postgres: PostgresResource, rules: Rules) -> dg.SensorDefinition:
    """Return the sensor that turns interest into runs and backfills."""
    partitions = {shard: bar_partitions(rules.first_date, shard) for shard in rules.shards.all}

    @dg.sensor(
        name="backfill",
        asset_selection=dg.AssetSelection.groups(GROUP),
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Launches what is missing of the symbols people look at, most wanted first.",
    )
    def backfill(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        opened = postgres.open()
        # Opening a connection costs the server more than most of what is said on it.
        with opened.database.held() as database:
            return tick(context, open_storage(database, opened.clock))

    def tick(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult:
        storage.work.beat()
        cursor = _reap_when_due(context, storage)
        taken = _look_and_wait(storage, rules)
        if not taken.symbols:
            return dg.SensorResult(skip_reason=taken.sentence, cursor=cursor)
        requests = []
        additions = []
        wanted = rules.shards.divided(taken.symbols)
        for shard, symbols in wanted.items():
            known = set(context.instance.get_dynamic_partitions(shard.partition_set))
            if missing := [symbol for symbol in symbols if symbol not in known]:
                additions.append(symbol_set(shard).build_add_request(missing))
        for claim in taken.claims:
            shard = rules.shards.of(claim.symbol)
            requests += requests_for(claim, shard, partitions[shard], storage.calendar)
        for recheck, day in taken.rechecks:
            requests.append(recheck_request(recheck, day, rules.shards.of(recheck.symbol)))
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=additions,
            cursor=cursor,
        )

    return backfill


def _reap_when_due(context: dg.SensorEvaluationContext, storage: Storage) -> str:
    """Give back what lost claims hold, now and then; return the cursor: when that was."""
    now = time.time()
    # A machine's clock may have been set back.
    if context.cursor and 0 <= now - float(context.cursor) < _REAP_EVERY_S:
        return context.cursor
    if doubted := storage.work.plan_doubted():
        context.log.info(f"{doubted} symbols are asked once more about sessions in doubt")
    released = reap(context.instance, storage.work) + storage.work.reset_stale()
    if released:
        context.log.warning(f"{released} slices of lost runs wait in the queue again")
    return f"{now:.3f}"


def _look_and_wait(storage: Storage, rules: Rules) -> Taken:
    """Look until something was claimed or the tick's time is over."""
    deadline = time.monotonic() + _WAIT_S
    with storage.work.listen() as announcements:
        while True:
            taken = take_on(storage, rules)
            left = deadline - time.monotonic()
            if taken.symbols or left <= 0:
                return taken
            if not taken.is_more:
                # The end of a pause is not announced.
                announcements.wait(min(left, left if taken.again_s is None else taken.again_s))


def take_on(storage: Storage, rules: Rules) -> Taken:
    """Plan the most wanted of what is due, and claim as much as there is room for.

    Of ten thousand symbols the first begin while the others are still being planned.

    Raises:
        StorageError: the database does not answer; a failed read is not an empty queue.

    """
    work = storage.work
    # First: what trades no more is not planned for a new day.
    look_for_delisted(storage)
    is_more = work.plan_some(least_priority=lowest(background=rules.background)).is_more
    priorities = [claim.priority for claim in work.open_claims()]
    rechecks = _rechecked(storage, rules, priorities)
    return replace(_claimed(storage, rules, priorities, is_more=is_more), rechecks=rechecks)


def _rechecked(
    storage: Storage, rules: Rules, priorities: list[int]
) -> Sequence[tuple[Recheck, date]]:
    """Claim what somebody has pressed a button for; their priorities are added to the others."""
    now = storage.clock.now()
    day = newest_session(storage.calendar, now, has_live=rules.has_live).day
    is_past = day < new_york_date(now)
    provider = HISTORY if is_past else TODAY
    if ProviderHealth(storage.database.transaction).rests(provider.name):
        return ()
    book = RecheckBook(storage.database)
    taken: list[tuple[Recheck, date]] = []
    while True:
        least = least_priority(priorities, rules.most, background=rules.background)
        recheck = (
            None if least is None else book.claim(day=day, is_past=is_past, least_priority=least)
        )
        if recheck is None:
            return taken
        taken.append((recheck, day))
        priorities.append(recheck.priority)


def _claimed(storage: Storage, rules: Rules, priorities: list[int], *, is_more: bool) -> Taken:
    """Claim slices; their priorities are added to the others."""
    health = ProviderHealth(storage.database.transaction)
    if (cooling := health.rests(HISTORY.name)) is not None:
        return Taken((), str(cooling.error()), is_more, cooling.seconds)
    cooling = health.cooling(HISTORY.name)
    if (closed := closed_for(storage.database.transaction, HISTORY.name)) > PATIENT_S:
        return Taken((), f"{HISTORY.name}: {closed_error(closed)}", is_more, closed)
    claims: list[Claim] = []
    while True:
        least = least_priority(priorities, rules.most, background=rules.background)
        claim = None if least is None else storage.work.claim(least_priority=least)
        if claim is None:
            break
        claims.append(claim)
        priorities.append(claim.priority)
    if least is None:
        sentence = f"{len(priorities)} symbols are worked on; no slot is free"
    else:
        sentence = f"nothing is due; {len(priorities)} symbols are worked on"
    if cooling is not None:
        sentence = f"{sentence}; {cooling.error()}"
    return Taken(tuple(claims), sentence, is_more, (cooling.seconds or None) if cooling else None)
