"""Reply bytes to committed bars, against the fastest way in that Postgres has.

Ours begins with the bytes of each reply and ends when m15, h1, h4 and the ledger of the last one
are committed: parsing, validation, judging, resampling and one transaction a reply. The limit is
one raw binary COPY of the same finished rows, as one ready buffer, into an unlogged table without
an index. pandas begins with the finished rows, too.

What belongs here: ingest at several sizes, one worker and one worker a core. What does not: one
reply in detail (`one_reply.py`), repeating what is stored (`refetch.py`).
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from filling import fill, forget, verify
from pandas_way import PandasWay
from replies import Recorded, tickers
from results import Group, Line, milliseconds, spread
from server import RawCopy, Server
from timing import Timings, paired_ratios, side_by_side, timed

from resources.bars.symbols import ensure_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from resources.postgres.database import Database

TARGET = 0.10
#: The size that the target speaks of: ten symbols.
TARGET_SYMBOLS = 10


@dataclass(frozen=True)
class Size:
    """How much is measured: symbols of two years (12,964 m15 bars each), how often, with what."""

    symbols: int
    repetitions: int
    pandas: bool


QUICK = (Size(1, 5, pandas=True), Size(10, 2, pandas=False))
FULL = (Size(1, 9, pandas=True), Size(10, 3, pandas=True), Size(100, 1, pandas=False))


def measure(server: Server, recorded: Recorded, sizes: tuple[Size, ...]) -> list[Group]:
    """Return one group a size."""
    with workers(recorded) as pool:
        return [_measure(server, recorded, size, pool) for size in sizes]


def _measure(server: Server, recorded: Recorded, size: Size, pool: ProcessPoolExecutor) -> Group:
    symbols = tickers(size.symbols)
    with server.database() as database:
        ids = ensure_symbols(database, symbols)
        # One worker is proven at the smallest size, several are at the others.
        if size.symbols > 1:
            _fill_on_all_cores(database, ids, pool)
        else:
            fill(database, recorded, ids)
        bars = verify(database, recorded, ids)
        raw = RawCopy(database)
        pandas_way = PandasWay(database) if size.pandas else None

        def loading() -> float:
            raw.prepare()
            server.settle()
            seconds = timed(raw.run)
            assert raw.loaded() == raw.rows
            return seconds

        def emptied(work: Callable[[], object]) -> Callable[[], float]:
            def run() -> float:
                forget(database)
                server.settle()
                return timed(work)

            return run

        variants = {
            "raw COPY": loading,
            "one worker": emptied(lambda: fill(database, recorded, ids)),
        }
        if size.symbols > 1:
            variants["all cores"] = emptied(lambda: _fill_on_all_cores(database, ids, pool))
        if pandas_way is not None:
            variants["pandas"] = emptied(pandas_way.run)
        found = side_by_side(variants, size.repetitions)
        if pandas_way is not None:
            assert raw.differences() == 0, "what pandas stored differs"
    return _group(size, bars, raw.rows, found)


def _group(size: Size, bars: int, rows: int, found: dict[str, Timings]) -> Group:
    names = {
        "raw COPY": f"raw binary COPY of the {rows:,} rows: the limit",
        "one worker": "swiftbolt, one worker",
        "all cores": f"swiftbolt, {_workers()} workers (one a core)",
        "pandas": "pandas to_sql + ON CONFLICT, from finished rows",
    }
    group = Group(f"ingest: {bars:,} m15 bars, {size.symbols} symbols of two years")
    limit = found["raw COPY"]
    for name, timings in found.items():
        ratios = paired_ratios(limit.seconds, timings.seconds)
        ratio = Timings(ratios).median
        judged = size.symbols == TARGET_SYMBOLS and name in {"one worker", "all cores"}
        group.lines.append(
            Line(
                names[name],
                milliseconds(timings.median),
                spread(timings.seconds),
                f"{ratio:.3f}",
                f">= {TARGET:.2f}" if judged else None,
                ratio >= TARGET if judged else None,
            )
        )
        group.data[name] = timings.as_json() | {
            "ratio_to_raw_copy": round(ratio, 4),
            "ratios": [round(r, 4) for r in ratios],
            "bars_per_second": round(bars / timings.median),
        }
    group.data |= {"m15_bars": bars, "rows": rows, "symbols": size.symbols}
    return group


def _workers() -> int:
    return os.cpu_count() or 1


@contextmanager
def workers(recorded: Recorded) -> Iterator[ProcessPoolExecutor]:
    """Keep worker processes that have the replies in memory, as the platform keeps its own."""
    with NamedTemporaryFile(prefix="swiftbolt-bench-", suffix=".pickle") as file:
        file.write(pickle.dumps(recorded))
        file.flush()
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            _workers(), mp_context=context, initializer=_load, initargs=(file.name,)
        ) as pool:
            yield pool


#: The worker's replies, by the process's own import of this module.
_recorded: list[Recorded] = []


def _load(name: str) -> None:
    # Our own file of a moment ago.
    _recorded.append(pickle.loads(Path(name).read_bytes()))  # noqa: S301


def _fill_on_all_cores(database: Database, ids: dict[str, UUID], pool: ProcessPoolExecutor) -> None:
    """Fill with one worker a core, one symbol each at a time."""
    for done in [pool.submit(_fill_one, database, name, ids[name]) for name in ids]:
        done.result()


def _fill_one(database: Database, symbol: str, symbol_id: UUID) -> None:
    fill(database, _recorded[0], {symbol: symbol_id})
