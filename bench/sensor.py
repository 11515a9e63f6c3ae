"""The sensor's look at the queue, without its wait: what each tick costs.

What belongs here: `take_on` on a queue of different states, and the making of Dagster's requests.
What does not: planning anew (`planning.py`), and Dagster's daemon around it (`orchestration.py`).
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from planning import define
from results import Group, Line, milliseconds, spread
from server import FIRST_PARTITION
from timing import Timings, timed

from resources.bars.ledger import Ledger
from resources.bars.store import BarStore
from resources.queue.slices import WorkQueue
from resources.storage import Storage
from sensors.backfill import Rules, take_on
from swiftbolt_assets.assets.partitions import bar_partitions
from swiftbolt_assets.clock import Clock
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.orchestration.launching import requests_for
from swiftbolt_assets.policy.shards import WHOLE

if TYPE_CHECKING:
    from server import Server

    from resources.postgres.database import Database
    from resources.queue.slices import Claim

SYMBOLS = 1_000
MOST = 5
TARGET_S = 0.5


def measure(server: Server, repetitions: int) -> Group:
    """Return the group."""
    group = Group(f"sensor tick without its wait, {SYMBOLS:,} symbols")
    load = os.getloadavg()[0]
    with server.database() as database:
        define(database, SYMBOLS)
        storage = _storage(database)
        taken = take_on(storage, _rules(MOST))
        assert taken.claims, taken.sentence
        full = _ticks(storage, repetitions, [])
        claims: list[Claim] = []
        claiming = _ticks(storage, repetitions, claims, more=1)
        make = partial(
            requests_for, shard=WHOLE, partitions=bar_partitions(FIRST_PARTITION), calendar=xnys()
        )
        making = Timings(tuple(timed(partial(make, claim)) for claim in claims))
        with database.transaction() as connection:
            connection.execute("update job_runs set status = 'success', claim_id = null")
        idle = _ticks(storage, repetitions, [])
        storage.close()
    for what, timings in (
        ("idle: all is stored", idle),
        ("busy: all queued, lanes full", full),
        ("busy: all queued, takes on one symbol", claiming),
        ("  and makes Dagster's requests of it", making),
    ):
        group.lines.append(
            Line(
                what,
                milliseconds(timings.median),
                spread(timings.seconds),
                target=f"<= {TARGET_S * 1e3:.0f} ms",
                reached=timings.p95 <= TARGET_S,
            )
        )
        group.data[what.strip()] = timings.as_json()
    group.data["load"] = round(load, 2)
    return group


def _storage(database: Database) -> Storage:
    clock = Clock(timedelta(0))
    return Storage(database, BarStore(database), Ledger(database), WorkQueue(database), clock)


def _rules(most: int) -> Rules:
    return Rules(FIRST_PARTITION, most, background=True)


def _ticks(storage: Storage, repetitions: int, claims: list[Claim], *, more: int = 0) -> Timings:
    """Return the times of ticks, each with so many more slots; what they take on is added."""

    def tick(most: int) -> None:
        claims.extend(take_on(storage, _rules(most)).claims)

    slots = (MOST + more * turn for turn in range(1, repetitions + 1))
    timings = Timings(tuple(timed(partial(tick, most)) for most in slots))
    assert len(claims) == more * repetitions, f"{len(claims)} claims in {repetitions} ticks"
    return timings
