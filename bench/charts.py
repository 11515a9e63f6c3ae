"""Two years of a symbol on a chart, with more and more rows stored around them.

At the server it is what the API asks, through its pool, rows fetched; over HTTP it is the whole
reply of a real server process, read to its last byte. Each is measured in turns, on some symbols
that have been read before, while nothing else goes on and while a backfill writes as fast as it
can. What belongs here: charts of one reader. What does not: other stores (`rivals.py`), many
readers (`polling.py`).
"""

from __future__ import annotations

import itertools
import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bulk import grow
from filling import fill
from replies import LAST, WALL
from results import Group, Line, milliseconds, spread
from served import Client, serving
from timing import side_by_side, timed
from writing import backfilling

from resources.bars.chart import ChartRange, chart_page
from resources.bars.symbols import ensure_symbols
from resources.postgres.callers import AUTHENTICATED, Caller, CallerPool
from swiftbolt_assets.api.arrow import ARROW
from swiftbolt_assets.clock import midnight
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from replies import Recorded
    from server import Server
    from timing import Timings

    from resources.postgres.database import Database

FULL = (1_000_000, 10_000_000)
QUICK = (1_000_000,)
TIMEFRAMES = ("h1", "m15", "d1")
WINDOW_DAYS = 730
TARGET_S = 0.030
#: Of so many symbols another one is read each time.
_READ = 12


@dataclass(frozen=True)
class Symbol:
    """A symbol whose chart is read."""

    id: UUID
    ticker: str


def measure(
    server: Server, recorded: Recorded, sizes: tuple[int, ...], repetitions: int
) -> list[Group]:
    """Return a group for each size."""
    groups = []
    with server.database() as stored:
        database = replace(stored, clock_offset=WALL - datetime.now(UTC))
        original = ensure_symbols(database, ["AAPL"])["AAPL"]
        fill(database, recorded, {"AAPL": original})
        for size in sizes:
            rows = grow(database, original, size)
            server.settle()
            group = Group(f"two years on a chart, {rows:,} rows stored")
            _measure(group, database, repetitions)
            groups.append(group)
    return groups


def _measure(group: Group, database: Database, repetitions: int) -> None:
    pool = CallerPool(database)
    try:
        with serving(database) as port:
            client = Client(port)
            variants = _variants(database, pool, client)
            for busy in (False, True):
                with backfilling(database) if busy else nullcontext():
                    for measure in variants.values():
                        for _ in range(_READ):
                            measure()
                    found = side_by_side(variants, repetitions)
                _tell(group, found, busy=busy)
            client.close()
    finally:
        pool.close()


def _variants(
    database: Database, pool: CallerPool, client: Client
) -> dict[str, Callable[[], float]]:
    """Return what is measured, by name."""
    turns = itertools.cycle(_symbols(database))
    caller = Caller(AUTHENTICATED, read_settings({}).anon_user)
    end = midnight(LAST + timedelta(days=2)) - timedelta(seconds=1)
    start = midnight(WALL.date() - timedelta(days=WINDOW_DAYS))

    def at_server(timeframe: str) -> Callable[[], float]:
        def read() -> None:
            wanted = ChartRange(next(turns).id, timeframe, start, end)
            with pool.transaction(caller) as connection:
                assert chart_page(connection, wanted).rows

        return lambda: timed(read)

    def over_http(timeframe: str, accept: str) -> Callable[[], float]:
        def read() -> None:
            body = {"symbol": next(turns).ticker, "timeframe": timeframe, "days": WINDOW_DAYS}
            assert client.post("chart-data-v2", body, accept)

        return lambda: timed(read)

    _check(database, pool, client, ChartRange(next(turns).id, "h1", start, end))
    found = {}
    for timeframe in TIMEFRAMES:
        found[f"{timeframe} at the server"] = at_server(timeframe)
        found[f"{timeframe} over HTTP"] = over_http(timeframe, "application/json")
    found["m15 over HTTP, Arrow"] = over_http("m15", ARROW)
    return found


def _symbols(database: Database) -> list[Symbol]:
    """Return filled symbols from all over the table."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select id, ticker from symbols where ticker ~ '^B[0-9]{6}$' order by md5(ticker)"
            " limit %s",
            (_READ,),
        ).fetchall()
    return [Symbol(*row) for row in rows]


def _check(database: Database, pool: CallerPool, client: Client, wanted: ChartRange) -> None:
    """Make sure that the reply holds the bars that are stored."""
    with database.transaction() as connection:
        row = connection.execute(
            "select s.ticker, count(*), sum(o.close) from ohlc_bars_v2 o"
            " join symbols s on s.id = o.symbol_id where o.symbol_id = %s and o.timeframe = 'h1'"
            " and o.ts between %s and %s group by 1",
            (wanted.symbol_id, wanted.start, wanted.end),
        ).fetchone()
    assert row is not None
    with pool.transaction() as connection:
        assert len(chart_page(connection, wanted).rows) == row[1]
    body = {"symbol": row[0], "timeframe": "h1", "days": WINDOW_DAYS}
    reply = json.loads(client.post("chart-data-v2", body))
    bars = reply["layers"]["historical"]["data"]
    assert len(bars) == row[1]
    assert abs(sum(bar["close"] for bar in bars) / row[2] - 1) < 1e-9


def _tell(group: Group, found: dict[str, Timings], *, busy: bool) -> None:
    group.lines.append(Line("while a backfill writes at full speed" if busy else "nothing else"))
    for line in _lines(found, busy=busy):
        group.lines.append(line)
    group.data["during a backfill" if busy else "idle"] = {
        name: timings.as_json() | {"p95_ms": round(timings.p95 * 1e3, 3)}
        for name, timings in found.items()
    }


def _lines(found: dict[str, Timings], *, busy: bool) -> Iterator[Line]:
    for name, timings in found.items():
        is_target = name == "h1 at the server" and not busy
        yield Line(
            f"  {name}, p95 {milliseconds(timings.p95)}",
            milliseconds(timings.median),
            spread(timings.seconds),
            target=f"p95 <= {TARGET_S * 1e3:.0f} ms" if is_target else None,
            reached=timings.p95 <= TARGET_S if is_target else None,
        )
