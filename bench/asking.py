"""`ensure-coverage` as polls ask it: how fast, and how many a second, with many symbols tracked.

A complete symbol costs a look at its ledger; an incomplete one also a look at the queue. What
belongs here: that endpoint, from several connections at once. What does not: clients that read
charts, too (`polling.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from filling import fill
from planning import define
from results import Group, Line, milliseconds
from served import press, serving
from timing import Timings

from resources.bars.symbols import ensure_symbols

if TYPE_CHECKING:
    from replies import Recorded
    from served import Client
    from server import Server

FULL = (1, 10_000)
QUICK = (1, 1_000)
CLIENTS = 4
TARGET_P95_S, TARGET_A_SECOND = 0.100, 150.0
_COMPLETE = "AAPL"
_PLAN = "select plan_job_runs()"


def measure(server: Server, recorded: Recorded, sizes: tuple[int, ...], seconds: float) -> Group:
    """Return the group."""
    group = Group(f"ensure-coverage over HTTP, {CLIENTS} connections without a pause")
    for tracked in sizes:
        with server.database() as database:
            define(database, tracked)
            fill(database, recorded, ensure_symbols(database, [_COMPLETE]))
            with database.connect() as connection:
                # Some symbols a call, until there is nothing to plan.
                while connection.execute(_PLAN).fetchone() != (0,):
                    pass
                connection.execute("analyze")
            server.settle()
            with serving(database) as port:
                for symbol, status in (
                    (_COMPLETE, "coverage_complete"),
                    ("S00001", "gaps_detected"),
                ):
                    _measure(group, port, tracked, symbol, status, seconds)
    return group


def _measure(
    group: Group, port: int, tracked: int, symbol: str, status: str, seconds: float
) -> None:
    body = {"symbol": symbol, "timeframe": "h1", "window_days": 730}

    def ask(client: Client, _number: int) -> None:
        found = json.loads(client.post("ensure-coverage", body))
        assert found["status"] == status, found

    press(port, 1, 1.0, ask)
    alone = Timings(tuple(press(port, 1, seconds, ask).seconds))
    load = press(port, CLIENTS, seconds, ask)
    assert not load.errors, load.errors[:3]
    together = Timings(tuple(load.seconds))
    group.lines += [
        Line(
            f"{tracked:,} symbols tracked, {status}",
            f"{load.a_second:.0f} a second",
            target=f">= {TARGET_A_SECOND:.0f} a second",
            reached=load.a_second >= TARGET_A_SECOND,
        ),
        Line(
            f"  p95 {milliseconds(together.p95)}",
            milliseconds(together.median),
            target=f"p95 <= {TARGET_P95_S * 1e3:.0f} ms",
            reached=together.p95 <= TARGET_P95_S,
        ),
        Line(f"  one connection, p95 {milliseconds(alone.p95)}", milliseconds(alone.median)),
    ]
    group.data[f"{tracked} {status}"] = {
        "a_second": round(load.a_second, 1),
        "median_ms": round(together.median * 1e3, 3),
        "p95_ms": round(together.p95 * 1e3, 3),
        "alone_median_ms": round(alone.median * 1e3, 3),
        "alone_p95_ms": round(alone.p95 * 1e3, 3),
    }
