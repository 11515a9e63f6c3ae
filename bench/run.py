"""`make bench`: speed and economy, each beside what it is compared with, in one run.

Prints a table of ratios and writes every figure as JSON. On two idle cores `--quick` takes some
twenty minutes, the whole more than an hour. Results are checked before anything is timed; a
wrong one ends the run. Other work on the machine costs ours more than raw COPY, which
is over in an instant.

What belongs here: the order, and the command line. What does not: measuring (one module each).
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import asking
import charts
import economy
import ingest
import live
import month
import one_reply
import opening
import orchestration
import planning
import polling
import process
import reading
import refetch
import refreshing
import resampling
import rivals
import searching
import sensor
import shards
import tracking
import universe
import workers
from replies import DENSE, record
from results import Group, machine, show
from server import running

from resources.postgres.embedded.server import erase, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAMES = (
    "ingest",
    "reply",
    "refetch",
    "resample",
    "reading",
    "requests",
    "process",
    "planning",
    "sensor",
    "tracking",
    "live",
    "orchestration",
    "charts",
    "rivals",
    "coverage",
    "polling",
    "search",
    "universe",
    "shards",
    "opening",
    "workers",
    "month",
)
#: Minutes each: left out of `--quick` unless asked for by name.
LONG = {"shards", "month"}


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks that are asked for."""
    asked = _parse(arguments)
    facts = machine()
    started = time.monotonic()
    groups: list[Group] = []
    recorded = record(len(DENSE))
    # Each timing begins with a collection; what stays anyway need not be looked at every time.
    gc.freeze()
    with running() as server:
        quick = asked.quick
        work: dict[str, Callable[[], list[Group]]] = {
            "ingest": lambda: ingest.measure(
                server, recorded, ingest.QUICK if quick else ingest.FULL
            ),
            "reply": lambda: [one_reply.measure(server, recorded, 3 if quick else 10)],
            "refetch": lambda: [refetch.measure(server, recorded, 3 if quick else 7)],
            "resample": lambda: resampling.measure(
                recorded, resampling.QUICK if quick else resampling.FULL, 3 if quick else 7
            ),
            "reading": lambda: [reading.measure(server, recorded, 5 if quick else 15)],
            "requests": lambda: [economy.measure(server)],
            "process": _processes,
            "planning": lambda: [
                planning.measure(server, planning.QUICK if quick else planning.FULL)
            ],
            "sensor": lambda: [sensor.measure(server, 5 if quick else 20)],
            "tracking": lambda: _tracking(5 if quick else 20),
            "live": _live,
            "orchestration": lambda: _orchestration(1 if quick else 3, 20 if quick else 60),
            "charts": lambda: charts.measure(
                server,
                recorded,
                tuple(sorted(asked.rows or (charts.QUICK if quick else charts.FULL))),
                20 if quick else 60,
            ),
            "rivals": lambda: [
                rivals.measure(server, recorded, 10 if quick else 30, arcticdb=asked.arcticdb)
            ],
            "coverage": lambda: [
                asking.measure(
                    server, recorded, asking.QUICK if quick else asking.FULL, 3 if quick else 10
                )
            ],
            "polling": _polling,
            "search": lambda: [
                searching.measure(server, searching.QUICK if quick else searching.FULL)
            ],
            "workers": lambda: [workers.measure(10 if quick else 40, 15 if quick else 30)],
            "month": lambda: month.measure(server),
            "shards": lambda: [shards.measure(shards.QUICK if quick else shards.FULL)],
            "universe": lambda: [
                universe.measure(
                    server,
                    recorded,
                    universe.QUICK if quick else universe.FULL,
                    3 if quick else 10,
                )
            ],
            "opening": lambda: _opening(5 if quick else 20),
        }
        for name in asked.only or (n for n in NAMES if not (quick and n in LONG)):
            print(f"{name} ...", file=sys.stderr, flush=True)
            groups += work[name]()
    gc.unfreeze()
    show(facts, groups)
    seconds = time.monotonic() - started
    found = {
        "machine": facts,
        "mode": "quick" if asked.quick else "full",
        "seconds": round(seconds, 1),
        "groups": [
            {
                "title": group.title,
                "figures": group.data,
                "targets": {
                    line.what.strip(): {"target": line.target, "reached": line.reached}
                    for line in group.lines
                    if line.target is not None
                },
            }
            for group in groups
        ],
    }
    asked.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(f"{seconds:.0f} s; every figure is in {asked.json}")
    return 0


def _processes() -> list[Group]:
    with TemporaryDirectory(prefix="swiftbolt-bench-") as folder:
        home = Path(folder) / "home"
        try:
            return [process.measure(home, helps=5)]
        finally:
            stop(home)
            erase(home)


def _live() -> list[Group]:
    with TemporaryDirectory(prefix="swiftbolt-bench-") as folder:
        home = Path(folder) / "home"
        try:
            return [refreshing.measure(home)]
        finally:
            stop(home)
            erase(home)


def _tracking(symbols: int) -> list[Group]:
    with live.platform() as platform:
        return [tracking.measure(platform, symbols)]


def _orchestration(symbols: int, idle_s: float) -> list[Group]:
    with live.platform() as platform:
        return [orchestration.measure(platform, symbols, idle_s)]


def _polling() -> list[Group]:
    with live.platform(**polling.SETTINGS) as platform:
        return [polling.measure(platform)]


def _opening(symbols: int) -> list[Group]:
    with live.platform() as platform:
        return [opening.measure(platform, symbols)]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some twenty minutes, fewer sizes")
    parser.add_argument(
        "--json",
        type=Path,
        default=Path("bench-results.json"),
        metavar="PATH",
        help="where the figures go (default: bench-results.json)",
    )
    parser.add_argument("--only", action="append", choices=NAMES, help="repeatable")
    parser.add_argument(
        "--rows",
        action="append",
        type=int,
        metavar="N",
        help="rows around the charts, repeatable (default: 1 and 10 million; 30 take 10 GB)",
    )
    parser.add_argument(
        "--arcticdb", action="store_true", help="fetch ArcticDB and compare with it"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
