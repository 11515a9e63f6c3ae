"""CPU that the platform around a fill uses: Dagster's processes, the runs, and Postgres.

Two years of some symbols are filled twice: by the platform, all at once, from the definitions to
the end of the last backfill; and by the product's own filler in this process, one after the other.
What the platform uses more, less what it uses idle, is what orchestration adds. The provider is
the platform's simulator, whose CPU is not counted. What belongs here: CPU. What does not: how soon
the first bars are there (`tracking.py`).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from economy import fill_over_http
from live import PARTS, await_, is_filled, open_work, want
from replies import DENSE
from results import Group, Line

from resources.bars.symbols import ensure_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg
    from live import Live

    Connection = psycopg.Connection[tuple[object, ...]]

TARGET_S, GOAL_S = 7.0, 5.0
_LOOK_EVERY_S = 0.5
_DAYS = 730


@dataclass(frozen=True)
class Spent:
    """What a stretch of time took: its seconds, and CPU seconds by part."""

    seconds: float
    cpu: dict[str, float]

    def share(self, seconds: float) -> Spent:
        """Return what so many seconds of it take."""
        factor = seconds / self.seconds
        return Spent(seconds, {part: cpu * factor for part, cpu in self.cpu.items()})

    def without(self, other: Spent) -> Spent:
        """Return it without what another one took, part by part."""
        return Spent(self.seconds, {part: cpu - other.cpu[part] for part, cpu in self.cpu.items()})

    def per(self, count: int) -> Spent:
        """Return the part of one of so many symbols."""
        return Spent(self.seconds / count, {part: cpu / count for part, cpu in self.cpu.items()})


@dataclass(frozen=True)
class Fills:
    """What was measured: the platform at rest and at work, and the filler alone."""

    count: int
    idle: Spent
    work: Spent
    stored_s: float
    alone: Spent
    load: float

    @property
    def added(self) -> Spent:
        """Return what orchestration adds, a symbol."""
        busy = self.work.without(self.idle.share(self.work.seconds))
        alone = self.alone.without(self.idle.share(self.alone.seconds))
        # What the filler needs by itself, the runs' bodies need.
        body = {"runs": self.alone.cpu["filler"], "Postgres": max(0.0, alone.cpu["Postgres"])}
        added = {part: busy.cpu[part] - body.get(part, 0.0) for part in PARTS}
        return Spent(busy.seconds, added).per(self.count)


def measure(live: Live, count: int, idle_s: float) -> Group:
    """Return the group for so many symbols at once."""
    fills = fill(live, count, idle_s)
    total = sum(fills.added.cpu.values())
    group = Group(
        f"CPU of orchestration a symbol and two years, {count} at once, load {fills.load:.1f}"
    )
    idle = fills.idle.share(fills.work.seconds).per(count)
    work, alone = fills.work.per(count), fills.alone.per(count)
    group.lines.append(
        Line(
            "added by orchestration, all processes",
            f"{total:.2f} s",
            target=f"<= {TARGET_S:.0f} s, goal {GOAL_S:.0f}",
            reached=total <= TARGET_S,
        )
    )
    group.lines += [
        Line(
            f"  {part}",
            f"{fills.added.cpu[part]:.2f} s",
            f"{work.cpu[part]:.2f} used, {idle.cpu[part]:.2f} of it idle",
        )
        for part in PARTS
    ]
    group.lines += [
        Line("the filler alone: its process", f"{alone.cpu['filler']:.2f} s"),
        Line("  Postgres, idle share included", f"{alone.cpu['Postgres']:.2f} s"),
        Line("all stored, after", f"{fills.stored_s:.1f} s"),
        Line("all backfills over, after", f"{fills.work.seconds:.1f} s"),
        Line("platform idle, of one core", f"{sum(fills.idle.share(1).cpu.values()):.1%}"),
    ]
    group.data = {
        "symbols": count,
        "load": round(fills.load, 2),
        "added_s": round(total, 3),
        "added_by_part_s": _rounded(fills.added),
        "used_by_part_s": _rounded(work),
        "idle_by_part_s": _rounded(idle),
        "alone_s": _rounded(alone),
        "stored_after_s": round(fills.stored_s, 1),
        "over_after_s": round(fills.work.seconds, 1),
    }
    return group


def fill(live: Live, count: int, idle_s: float) -> Fills:
    """Fill so many symbols both ways."""
    symbols, others = DENSE[1 : 1 + count], DENSE[1 + count : 1 + 2 * count]
    with live.database.connect() as bars, live.connect_to_dagster() as dagster:
        # What is compiled and connected once is nobody's share.
        _by_platform(bars, dagster, ["WARM2"])
        _alone(live, ["WARM3"])
        idle = _spent(live, lambda: _rest(bars, dagster, idle_s))
        before = os.getloadavg()[0]
        stored: list[float] = []
        work = _spent(live, lambda: stored.append(_by_platform(bars, dagster, symbols)))
        alone = _spent(live, lambda: _alone(live, others))
    return Fills(count, idle, work, stored[0], alone, max(before, os.getloadavg()[0]))


def _spent(live: Live, work: Callable[[], object]) -> Spent:
    """Return what the platform and this process use while `work` runs."""
    before, own, started = live.cpu(), time.process_time(), time.perf_counter()
    work()
    seconds, own, after = time.perf_counter() - started, time.process_time() - own, live.cpu()
    return Spent(seconds, {part: after[part] - before[part] for part in PARTS} | {"filler": own})


def _by_platform(bars: Connection, dagster: Connection, symbols: Sequence[str]) -> float:
    """Let the platform fill symbols until all is over; return when all was stored."""
    want(bars, symbols, _DAYS)

    def is_stored() -> bool:
        open_work(dagster)
        return is_filled(bars, symbols)

    stored = await_(is_stored, "all is stored", seconds=300, every=_LOOK_EVERY_S)
    await_(
        lambda: is_filled(bars, symbols) and open_work(dagster) == 0,
        "runs and backfills are over",
        seconds=120,
        every=_LOOK_EVERY_S,
    )
    row = bars.execute(
        "select bool_and(p.complete) from job_definitions d"
        " cross join get_job_progress(d.id) p where d.symbol = any(%s)",
        (list(symbols),),
    ).fetchone()
    assert row == (True,), "a definition is not complete"
    return stored


def _rest(bars: Connection, dagster: Connection, seconds: float) -> None:
    """Look as often as during the work, and do nothing."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        is_filled(bars, [])
        open_work(dagster)
        time.sleep(_LOOK_EVERY_S)


def _alone(live: Live, symbols: Sequence[str]) -> None:
    for symbol, symbol_id in ensure_symbols(live.database, symbols).items():
        requests = fill_over_http(live.database, live.simulator_url, symbol, symbol_id)
        assert requests, f"{symbol} was filled before"


def _rounded(spent: Spent) -> dict[str, float]:
    return {part: round(cpu, 3) for part, cpu in spent.cpu.items()}
