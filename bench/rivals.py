"""The same two years of bars read from DuckDB and ArcticDB, beside the chart's statement.

All three hold the same symbols on this machine's disk, and hand over one of them in memory: rows
for a reply here, a frame there. ArcticDB runs in an environment of its own (dependency group
`bench`), which `--arcticdb` fetches. What belongs here: other stores. What does not: replies over
HTTP (`charts.py`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
from bulk import grow
from filling import fill
from replies import FIRST, LAST, WALL
from results import Group, Line, milliseconds, spread
from timing import Timings, side_by_side, timed

from resources.bars.chart import ChartRange, chart_page
from resources.bars.symbols import ensure_symbols
from resources.postgres.callers import CallerPool
from swiftbolt_assets.clock import midnight

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from replies import Recorded
    from server import Server

    from resources.postgres.database import Database

ROWS = 1_000_000
TIMEFRAMES = ("h1", "m15")
_SCRIPT = Path(__file__).with_name("arctic.py")
_UV = Path(__file__).parent.parent / ".ci" / "uv"
_ALONE = ("run", "--frozen", "--isolated", "--no-default-groups", "--only-group", "bench")


def measure(server: Server, recorded: Recorded, repetitions: int, *, arcticdb: bool) -> Group:
    """Return the group."""
    with server.database() as stored, TemporaryDirectory(prefix="swiftbolt-bench-") as folder:
        database = replace(stored, clock_offset=WALL - datetime.now(UTC))
        original = ensure_symbols(database, ["AAPL"])["AAPL"]
        fill(database, recorded, {"AAPL": original})
        rows = grow(database, original, ROWS)
        server.settle()
        bars = Path(folder) / "bars.parquet"
        _export(database).write_parquet(bars)
        found = _beside_duckdb(database, original, Path(folder), bars, repetitions)
        if arcticdb:
            found |= _arcticdb(Path(folder), bars, repetitions)
    group = Group(f"two years of a symbol from other stores, {rows:,} rows")
    for timeframe in TIMEFRAMES:
        ours = found[f"{timeframe} chart's statement"].median
        for name, timings in found.items():
            if name.startswith(timeframe):
                group.lines.append(
                    Line(
                        name,
                        milliseconds(timings.median),
                        spread(timings.seconds),
                        ratio=f"{timings.median / ours:.2f}",
                    )
                )
    if not arcticdb:
        group.lines.append(Line("ArcticDB: make bench ARGS=--arcticdb fetches and measures it"))
    group.data = {name: timings.as_json() for name, timings in found.items()}
    return group


def _export(database: Database) -> pl.DataFrame:
    with database.connect() as connection, connection.cursor(binary=True) as cursor:
        cursor.execute(
            "select s.ticker, o.timeframe::text, o.ts, o.open, o.high, o.low, o.close, o.volume"
            " from ohlc_bars_v2 o join symbols s on s.id = o.symbol_id order by 1, 2, 3"
        )
        return pl.DataFrame(
            cursor.fetchall(),
            schema={
                "symbol": pl.String, "timeframe": pl.String, "ts": pl.Datetime("us", "UTC"),
                "open": pl.Float64, "high": pl.Float64, "low": pl.Float64, "close": pl.Float64,
                "volume": pl.Float64,
            },
            orient="row",
        )  # fmt: skip


def _beside_duckdb(
    database: Database, symbol_id: UUID, folder: Path, bars: Path, repetitions: int
) -> dict[str, Timings]:
    pool = CallerPool(database)
    duck = duckdb.connect(str(folder / "bars.duckdb"))
    duck.execute(f"create table bars as select * from '{bars}' order by symbol, timeframe, ts")
    duck.execute("checkpoint")
    start, end = midnight(FIRST), midnight(LAST + timedelta(days=1))
    heights: dict[str, set[int]] = {timeframe: set() for timeframe in TIMEFRAMES}

    def ours(timeframe: str) -> Callable[[], float]:
        def read() -> None:
            with pool.transaction() as connection:
                page = chart_page(connection, ChartRange(symbol_id, timeframe, start, end))
            heights[timeframe].add(len(page.rows))

        return lambda: timed(read)

    def theirs(timeframe: str, fetch: Callable[[Any], int]) -> Callable[[], float]:
        asked = (
            "select ts, open, high, low, close, volume from bars where symbol = 'AAPL'"
            " and timeframe = ? and ts between ? and ? order by ts"
        )
        return lambda: timed(
            lambda: heights[timeframe].add(fetch(duck.sql(asked, params=[timeframe, start, end])))
        )

    variants = {}
    for timeframe in TIMEFRAMES:
        variants[f"{timeframe} chart's statement"] = ours(timeframe)
        variants[f"{timeframe} DuckDB, rows"] = theirs(timeframe, lambda it: len(it.fetchall()))
        variants[f"{timeframe} DuckDB, frame"] = theirs(
            timeframe, lambda it: pl.DataFrame(it.to_arrow_table()).height
        )
    try:
        side_by_side(variants, 7)
        found = side_by_side(variants, repetitions)
    finally:
        duck.close()
        pool.close()
    assert all(len(seen) == 1 for seen in heights.values()), f"the stores differ: {heights}"
    return found


def _arcticdb(folder: Path, bars: Path, repetitions: int) -> dict[str, Timings]:
    """Run the script where ArcticDB is.

    Raises:
        RuntimeError: it failed; the message holds what it said.

    """
    command = [str(_UV), *_ALONE, "python", str(_SCRIPT), str(folder / "arctic"), str(bars)]
    ran = subprocess.run(
        [*command, str(repetitions)], capture_output=True, text=True, check=False, cwd=_UV.parent
    )
    if ran.returncode:
        raise RuntimeError(f"arctic.py: {ran.stderr[-2000:]}")
    print(ran.stderr, file=sys.stderr, end="")
    return {name: Timings(tuple(seconds)) for name, seconds in json.loads(ran.stdout).items()}
