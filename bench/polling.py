"""Fifty apps that look on while ten symbols are filled, and what that costs both sides.

Each app does what the original one does every 15 seconds, here every five: `ensure-coverage`, then
the whole chart. The same number of other symbols is filled before, with nobody looking. What
belongs here: a running platform from outside. What does not: one reader (`charts.py`).
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from string import ascii_uppercase
from typing import TYPE_CHECKING

from live import await_, is_filled
from results import Group, Line, milliseconds, spread
from served import ANON_KEY, Client, Load, in_threads
from timing import Timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from live import Live

CLIENTS, SYMBOLS = 50, 10
SETTINGS = {"SWIFTBOLT_ANON_KEY": ANON_KEY}
_EVERY_S = 5.0
_PATIENCE_S = 600.0
_FEWEST_POLLS = 3
_WINDOW = {"timeframe": "h1", "window_days": 730}
_CHART = {"timeframe": "h1", "days": 730, "includeForecast": True, "forecastDays": 10}


def measure(live: Live) -> Group:
    """Return the group."""
    busy = os.getloadavg()[0]
    _filled(live, ["WARM"])
    alone = _filled(live, [f"ALN{letter}" for letter in ascii_uppercase[:SYMBOLS]])
    watched = [f"WCH{letter}" for letter in ascii_uppercase[:SYMBOLS]]
    ensured, charts = Load(), Load()
    ended = threading.Event()
    clients = threading.Thread(
        target=in_threads,
        args=(lambda number: _poll(live, watched[number % SYMBOLS], number, ended, ensured, charts),
              CLIENTS),
    )  # fmt: skip
    clients.start()
    try:
        seconds = _filled(live, watched)
    finally:
        ended.set()
        clients.join()
    errors = [*ensured.errors, *charts.errors]
    group = Group(f"{CLIENTS} apps poll every {_EVERY_S:.0f} s while {SYMBOLS} symbols are filled")
    group.lines += [
        Line("filled with nobody looking", f"{alone:.1f} s"),
        Line("filled while they look on", f"{seconds:.1f} s", ratio=f"{seconds / alone:.2f}"),
        *(
            Line(
                f"{name}, {len(load.seconds)} replies, p95 {milliseconds(timings.p95)}",
                milliseconds(timings.median),
                spread(timings.seconds),
            )
            for name, load in (("ensure-coverage", ensured), ("chart-data-v2", charts))
            for timings in [Timings(tuple(load.seconds))]
        ),
        Line("errors", str(len(errors)), target="0", reached=not errors),
    ]
    group.data = {
        "alone_s": round(alone, 2),
        "watched_s": round(seconds, 2),
        "ensure_coverage": Timings(tuple(ensured.seconds)).as_json(),
        "chart_data_v2": Timings(tuple(charts.seconds)).as_json(),
        "errors": errors[:20],
        "load": round(busy, 2),
    }
    return group


def _filled(live: Live, symbols: Sequence[str]) -> float:
    """Ask for two years of symbols as an app does; return the seconds until they are stored."""
    client = Client(live.api_port)
    began = time.perf_counter()
    for symbol in symbols:
        client.post("ensure-coverage", {"symbol": symbol} | _WINDOW)
    with live.database.connect() as reader:
        await_(lambda: is_filled(reader, symbols), "filled", seconds=_PATIENCE_S, every=0.1)
    seconds = time.perf_counter() - began
    client.close()
    return seconds


def _poll(
    live: Live, symbol: str, number: int, ended: threading.Event, ensured: Load, charts: Load
) -> None:
    # Apps are not opened all at once.
    ended.wait(_EVERY_S * number / CLIENTS)
    client = Client(live.api_port)
    polls, bars = 0, 0
    while polls < _FEWEST_POLLS or not ended.is_set():
        began = time.perf_counter()
        _timed(ensured, client, "ensure-coverage", {"symbol": symbol} | _WINDOW)
        reply = _timed(charts, client, "chart-data-v2", {"symbol": symbol} | _CHART)
        if reply:
            seen = json.loads(reply)["metadata"]["total_bars"]
            if seen < bars:
                charts.errors.append(f"{symbol}: {seen} bars after {bars}")
            bars = seen
        polls += 1
        time.sleep(max(0.0, _EVERY_S - (time.perf_counter() - began)))
    client.close()


def _timed(noted: Load, client: Client, name: str, body: object) -> bytes:
    began = time.perf_counter()
    try:
        reply = client.post(name, body)
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        noted.errors.append(f"{name}: {error}")
        client.close()
        return b""
    noted.seconds.append(time.perf_counter() - began)
    return reply
