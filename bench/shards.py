"""Dagster's part as symbols grow: one set of assets, or the same divided over shards.

On a running platform many symbols are made partitions by SQL, all of them materialized in the
shard that is looked at; then one more symbol is tracked. What belongs here: what grows with
partitions - launching, the daemon, the UI's asset page, memory. What does not: the bars' database
(`universe.py`).
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil
from live import ANYBODY, await_, is_filled, platform
from replies import WALL
from results import Group, Line
from server import FIRST_PARTITION

from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.orchestration.platform.ports import API_PORT, DAGSTER_PORT, LOOPBACK
from swiftbolt_assets.policy.shards import Shards

if TYPE_CHECKING:
    from live import Live

#: Symbols and shards.
FULL = ((100, 1), (500, 1), (500, 2), (2_000, 1), (2_000, 8))
QUICK = ((500, 1), (500, 2))
NEWCOMER = "TRACKED"
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 120.0
_PARTITIONS = """
insert into dynamic_partitions (partitions_def_name, partition)
select %s, unnest(%s::text[]) on conflict do nothing
"""
# Their text is never read: of materializations the UI counts partitions, and reads the newest.
_MATERIALIZED = """
insert into event_logs (run_id, event, dagster_event_type, timestamp, asset_key, partition)
select 'bench', '{}', 'ASSET_MATERIALIZATION', now(), %s, d || '|' || s
  from unnest(%s::text[]) s cross join unnest(%s::text[]) d
"""
_READABLE = """
select exists (select from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id where ticker = %s)
"""
_STATS = """
query ($key: AssetKeyInput!) {
  assetNodes(assetKeys: [$key]) { partitionStats { numMaterialized } }
}
"""
_MAP = """
query ($key: AssetKeyInput!) {
  assetNodes(assetKeys: [$key]) {
    assetPartitionStatuses {
      ... on MultiPartitionStatuses { ranges { primaryDimStartKey primaryDimEndKey } }
    }
  }
}
"""


@dataclass(frozen=True)
class Found:
    """What was measured of so many symbols in so many shards.

    Attributes:
        partitions: of an asset of the newcomer's shard.
        first_bars_s, over_s: from the newcomer's row to readable bars; to the backfill's end.
        cpu_s: that the platform used meanwhile, its simulator left out.
        stats_cold_s, stats_s, map_s: the asset page's counts, first and again, and its heat map.
        memory_mb: of the daemon, code server and web UI together.

    """

    partitions: int
    first_bars_s: float
    over_s: float
    cpu_s: float
    stats_cold_s: float
    stats_s: float
    map_s: float
    memory_mb: float


def measure(cases: tuple[tuple[int, int], ...]) -> Group:
    """Return the group."""
    group = Group("Dagster's part: symbols over two years, all materialized")
    for symbols, count in cases:
        load = os.getloadavg()[0]
        with platform(SWIFTBOLT_SHARDS=str(count)) as live:
            found = _measure(live, symbols, Shards(count))
        # Minutes lie between two: what is known is told.
        print(f"  {symbols:,} symbols in {count}: {found}", file=sys.stderr, flush=True)
        group.lines += [
            Line(
                f"{symbols:,} symbols in {count} shards: {found.partitions:,} partitions an asset",
                f"{found.first_bars_s:.1f} s",
                "to a new symbol's first bars",
            ),
            Line("  until its backfill is over", f"{found.over_s:.1f} s"),
            Line("  CPU of the platform meanwhile", f"{found.cpu_s:.1f} s"),
            Line(
                "  asset page: counts cold, again; heat map",
                f"{found.stats_cold_s:.2f} s",
                f"{found.stats_s:.2f} s; {found.map_s:.2f} s",
            ),
            Line("  memory of daemon, code server, web UI", f"{found.memory_mb:.0f} MB"),
        ]
        group.data[f"{symbols} in {count}"] = asdict(found) | {"load": round(load, 2)}
    return group


def _measure(live: Live, symbols: int, shards: Shards) -> Found:
    shard = shards.of(NEWCOMER)
    names = [f"B{number:04}" for number in range(symbols)]
    divided = shards.divided(names)
    asset = shard.asset(Timeframe.M15)
    days = [str(s.day) for s in xnys().between(FIRST_PARTITION, WALL.date()) if s.day < WALL.date()]
    # What is compiled at the first run, and connected once, is nobody's share.
    _tracked(live, "WARM")
    with live.connect_to_dagster() as dagster:
        for one, part in divided.items():
            dagster.execute(_PARTITIONS, (one.partition_set, part))
        for start in range(0, len(divided.get(shard, [])), 100):
            part = divided[shard][start : start + 100]
            dagster.execute(_MATERIALIZED, (f'["{asset}"]', part, days))
        dagster.execute("vacuum (analyze) event_logs")
    before = sum(live.cpu().values())
    first, over = _tracked(live, NEWCOMER)
    cpu = sum(live.cpu().values()) - before
    port = DAGSTER_PORT + live.api_port - API_PORT
    key = {"key": {"path": [asset]}}

    def asked(query: str) -> tuple[float, Any]:
        began = time.perf_counter()
        question = json.dumps({"query": query, "variables": key}).encode()
        address = f"http://{LOOPBACK}:{port}/graphql"
        request = urllib.request.Request(address, question, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as reply:  # noqa: S310 - http
            answer = json.load(reply)["data"]
        return time.perf_counter() - began, answer

    cold, answer = asked(_STATS)
    counted = answer["assetNodes"][0]["partitionStats"]["numMaterialized"]
    expected = len(divided.get(shard, [])) * len(days)
    assert counted >= expected, f"{counted} of {expected} partitions are materialized"
    # A page that the forks share counts once.
    memory = sum(
        psutil.Process(live.parts[name]).memory_full_info().pss
        for name in ("daemon", "code-location", "web-ui")
    )
    return Found(counted, first, over, cpu, cold, asked(_STATS)[0], asked(_MAP)[0], memory / 2**20)


def _tracked(live: Live, symbol: str) -> tuple[float, float]:
    """Track a symbol over two years; return the seconds to its first bars, and to the end."""
    with live.database.connect() as bars, live.connect_to_dagster() as dagster:
        bars.execute("insert into symbols (ticker) values (%s)", (symbol,))
        began = time.perf_counter()
        bars.execute(
            "insert into user_symbol_tracking (user_id, symbol_id, source)"
            " select %s, id, 'watchlist' from symbols where ticker = %s",
            (ANYBODY, symbol),
        )
        bars.execute("update job_definitions set window_days = 730 where symbol = %s", (symbol,))
        first = await_(
            lambda: bars.execute(_READABLE, (symbol,)).fetchone() == (True,),
            f"bars of {symbol}",
            seconds=240,
            every=_LOOK_EVERY_S,
        )
        await_(lambda: is_filled(bars, [symbol]), f"all of {symbol}", seconds=600, every=0.2)
        await_(
            lambda: (
                dagster.execute(
                    "select count(*) from bulk_actions where status = 'REQUESTED'"
                ).fetchone()
                == (0,)
            ),
            "the backfill is over",
            seconds=600,
            every=0.2,
        )
        return first, time.perf_counter() - began
