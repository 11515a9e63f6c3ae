"""One real reply of 52 sessions: how long from its bytes to the commit, and where the time goes.

What belongs here: the whole through the product's own fill, and each stage alone on the same
replies. What does not: throughput (`ingest.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from filling import DERIVED, KeepingStore, fill, forget, verify
from replies import WALL, Recorded, reply, two_years, windows
from results import Group, Line, milliseconds, spread
from timing import Timings, timed

from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.providers.polygon.reply import parse_page
from swiftbolt_assets.clock import midnight
from swiftbolt_assets.market.by_session import of_sessions, starts_by_day
from swiftbolt_assets.market.coverage import Evidence, judge
from swiftbolt_assets.market.outliers import far
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.trust import distrust
from swiftbolt_assets.market.validation import validate

if TYPE_CHECKING:
    from server import Server

    from resources.postgres.database import Database

TARGET_S = 0.060
SYMBOL = "AAPL"
#: What a whole request holds.
_SESSIONS = 52


def measure(server: Server, recorded: Recorded, rounds: int) -> Group:
    """Return the group; every round is the 9 full replies of two years."""
    with server.database() as database:
        ids = ensure_symbols(database, [SYMBOL])
        # Imports are the process's, not a reply's.
        fill(database, recorded, ids)
        verify(database, recorded, ids)
        whole: list[float] = []
        writes: list[float] = []
        for _ in range(rounds):
            forget(database)
            server.settle()
            store = KeepingStore(database)
            filled = fill(database, recorded, ids, store=store)
            # The first of a round opens the connection and meets cold catalogs, as a worker's.
            whole += [f.seconds for f in filled if len(f.coverage) == _SESSIONS]
            writes += _writes_alone(database, store)
    stages = _stages(recorded, rounds) | {"write and commit": Timings(tuple(writes))}
    return _group(Timings(tuple(whole)), stages)


def _writes_alone(database: Database, kept: KeepingStore) -> list[float]:
    """Return the seconds of the same transactions, over empty tables again."""
    forget(database)
    store = BarStore(database)
    try:
        return [
            timed(lambda write=write: store.write(write))  # type: ignore[misc]
            for write in kept.kept
            if len(write.coverage) == _SESSIONS
        ]
    finally:
        store.close()


def _stages(recorded: Recorded, rounds: int) -> dict[str, Timings]:
    seconds: dict[str, list[float]] = {}

    def stage(name: str, work):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - a timer
        held = []
        seconds.setdefault(name, []).append(timed(lambda: held.append(work())))
        return held[0]

    for _ in range(rounds):
        for first, last in windows(two_years()):
            sessions = xnys().between(first, last)
            if len(sessions) < _SESSIONS:
                continue
            body = reply(recorded.body(SYMBOL, (first, last)))
            page = stage("parse", lambda body=body: parse_page(body, SYMBOL))
            bounds = midnight(first), midnight(last + timedelta(days=1))
            stage("trust", lambda p=page, s=sessions: distrust(p.bars, s))
            good = stage("validate", lambda p=page, b=bounds: validate(p.bars, *b)).good
            stage("outliers", lambda g=good, s=sessions: far(of_sessions(g, s), s))
            m15 = stage("judge", lambda g=good, s=sessions: _judged(g, s))
            stage(
                "resample",
                lambda m=m15, s=sessions: [resample(m, s, timeframe) for timeframe in DERIVED],
            )
    return {name: Timings(tuple(values)) for name, values in seconds.items()}


def _judged(good, sessions):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - as filling.py
    m15 = of_sessions(good, sessions)
    evidence = Evidence(
        now=WALL,
        last_bar=good["ts"][-1],
        earliest_known=None,
        latest_known=None,
        rejected=frozenset(),
        doubtful=False,
    )
    starts = starts_by_day(m15, sessions)
    for session in sessions:
        judge(session, starts[session.day], evidence, None)
    return m15


def _group(whole: Timings, stages: dict[str, Timings]) -> Group:
    group = Group("one reply of 52 sessions: 3,328 bars on the wire, 1,352 m15 stored")
    for name, seconds in (("p50", whole.median), ("p95", whole.p95)):
        group.lines.append(
            Line(
                f"bytes to commit, {name} of {len(whole.seconds)}",
                milliseconds(seconds),
                spread(whole.seconds),
                target="<= 60 ms",
                reached=seconds <= TARGET_S,
            )
        )
    group.lines += [
        Line(f"  {name} alone", milliseconds(t.median), spread(t.seconds))
        for name, t in stages.items()
    ]
    group.data = {
        "p50_ms": round(whole.median * 1e3, 3),
        "p95_ms": round(whole.p95 * 1e3, 3),
        "count": len(whole.seconds),
        "stages": {name: t.as_json() for name, t in stages.items()},
    }
    return group
