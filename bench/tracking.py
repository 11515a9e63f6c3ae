"""From a row of interest to readable bars: the platform warm, the provider without a limit.

Symbols are tracked by plain SQL, one after the other, at different moments of the daemon's loop;
another connection looks for bars of all three timeframes. What belongs here: that wait. What does
not: what it costs (`orchestration.py`).
"""

from __future__ import annotations

import os
import time
from string import ascii_uppercase
from typing import TYPE_CHECKING

from live import ANYBODY, await_, is_filled
from results import Group, Line
from timing import Timings

if TYPE_CHECKING:
    import psycopg
    from live import Live

P50_TARGET_S, P95_TARGET_S = 3.0, 5.0
_LOOK_EVERY_S = 0.02
_TRACK = """
insert into user_symbol_tracking (user_id, symbol_id, source)
select %s, id, 'watchlist' from symbols where ticker = %s
"""
_READABLE = """
select (select count(*) from unnest(array['m15', 'h1', 'h4']::timeframe[]) t
         where exists (select from ohlc_bars_v2 b
                        where b.symbol_id = s.id and b.timeframe = t)) = 3
  from symbols s where s.ticker = %s
"""


def measure(live: Live, count: int) -> Group:
    """Return the group for so many symbols."""
    group = Group(f"tracking row to first readable m15, h1 and h4 bars, {count} symbols")
    load = os.getloadavg()[0]
    with live.database.connect() as writer, live.database.connect() as reader:
        # The first run compiles, and the first symbol is the first partition.
        _tracked(writer, reader, "WARM")
        seconds = []
        for number, letter in enumerate(ascii_uppercase[:count]):
            # Wherever the loop of five seconds is just then.
            time.sleep(number * 1.7 % 5)
            seconds.append(_tracked(writer, reader, f"TRK{letter}"))
    timings = Timings(tuple(seconds))
    group.lines += [
        Line(
            "median",
            f"{timings.median:.2f} s",
            f"{min(seconds):.2f} .. {max(seconds):.2f} s",
            target=f"<= {P50_TARGET_S:.0f} s",
            reached=timings.median <= P50_TARGET_S,
        ),
        Line(
            "95th percentile",
            f"{timings.p95:.2f} s",
            target=f"<= {P95_TARGET_S:.0f} s",
            reached=timings.p95 <= P95_TARGET_S,
        ),
    ]
    group.data = timings.as_json() | {"p95_ms": round(timings.p95 * 1e3, 3), "load": round(load, 2)}
    return group


def _tracked(
    writer: psycopg.Connection[tuple[object, ...]],
    reader: psycopg.Connection[tuple[object, ...]],
    symbol: str,
) -> float:
    """Track a symbol; return the seconds until its first bars, once it is filled."""
    writer.execute("insert into symbols (ticker) values (%s)", (symbol,))
    started = time.perf_counter()
    writer.execute(_TRACK, (ANYBODY, symbol))

    def is_readable() -> bool:
        return reader.execute(_READABLE, (symbol,)).fetchone() == (True,)

    await_(is_readable, f"bars of {symbol}", seconds=90, every=_LOOK_EVERY_S)
    seconds = time.perf_counter() - started
    # The next one finds a free slot.
    await_(lambda: is_filled(reader, [symbol]), f"all of {symbol}", seconds=120, every=0.2)
    return seconds
