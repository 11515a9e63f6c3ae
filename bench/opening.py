"""Opening the chart page on a symbol that nobody tracks, in a real browser, the platform warm.

Two figures: from the address to the first candles; and, for each batch of bars that becomes
readable in Postgres, until the chart holds it. The provider answers without a limit, so all
requests of two years arrive within seconds, the hardest case. What belongs here: the page as a
person waits for it. What does not: replies to programs (`charts.py`).
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from live import await_, is_filled
from playwright.sync_api import sync_playwright
from results import Group, Line
from timing import Timings

if TYPE_CHECKING:
    from live import Live

FIRST_TARGET_S, FOLLOWING_TARGET_S = 4.0, 1.0
_FLAGS = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-sync")
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 120.0
#: Notes when the number of bars on the chart changes, on the machine's clock.
_WATCH = """
window.seen = [];
new MutationObserver(() => {
  const bars = Number(document.getElementById("chart")?.dataset.bars ?? 0);
  if ((window.seen.at(-1)?.[1] ?? 0) !== bars) window.seen.push([Date.now() / 1000, bars]);
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
_STORED = """
select count(*) from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id
 where s.ticker = %s and b.timeframe = 'h1'
"""


def measure(live: Live, count: int) -> Group:
    """Return the group for so many symbols.

    Raises:
        RuntimeError: there is no browser.

    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise RuntimeError("no chromium: apt-get install chromium")
    load = os.getloadavg()[0]
    first: list[float] = []
    following: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        # The first run compiles, and the first symbol is the first partition.
        _opened(live, browser, "WARM")
        for letter in ascii_uppercase[:count]:
            appeared, lags = _opened(live, browser, f"OPN{letter}")
            first.append(appeared)
            following += lags
        browser.close()
    group = Group(f"opening the chart of an untracked symbol, {count} symbols, two years each")
    for name, seconds, target in (
        ("address -> first candles", first, FIRST_TARGET_S),
        ("readable in Postgres -> on the chart", following, FOLLOWING_TARGET_S),
    ):
        timings = Timings(tuple(seconds))
        group.lines.append(
            Line(
                f"{name}, {len(seconds)} times, p95 {timings.p95:.2f} s",
                f"{timings.median:.2f} s",
                f"{min(seconds):.2f} .. {max(seconds):.2f} s",
                target=f"<= {target:.0f} s",
                reached=max(seconds) <= target,
            )
        )
    group.data = {
        "first_candles": Timings(tuple(first)).as_json(),
        "following": Timings(tuple(following)).as_json(),
        "load": round(load, 2),
    }
    return group


def _opened(live: Live, browser: Any, symbol: str) -> tuple[float, list[float]]:  # noqa: ANN401
    """Return the seconds to the first candles, and how late each further growth was shown."""
    stored: list[tuple[float, int]] = []
    ended = threading.Event()
    watching = threading.Thread(target=_watch, args=(live, symbol, stored, ended))
    watching.start()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.add_init_script(_WATCH)
        began = time.time()
        page.goto(f"http://127.0.0.1:{live.api_port}/chart#{symbol}/h1")
        with live.database.connect() as reader:
            await_(lambda: is_filled(reader, [symbol]), "filled", seconds=_PATIENCE_S, every=0.1)
            row = reader.execute(_STORED, (symbol,)).fetchone()
        assert row is not None
        page.wait_for_function(
            "bars => window.seen.length > 0 && window.seen.at(-1)[1] >= bars",
            arg=row[0],
            timeout=_PATIENCE_S * 1e3,
        )
        shown = [(when, bars) for when, bars in page.evaluate("window.seen") if bars]
    finally:
        ended.set()
        watching.join()
        context.close()
    lags = [
        max(0.0, next(when for when, bars in shown if bars >= total) - readable)
        for readable, total in stored
    ]
    return shown[0][0] - began, lags


def _watch(
    live: Live, symbol: str, stored: list[tuple[float, int]], ended: threading.Event
) -> None:
    with live.database.connect() as reader:
        while not ended.wait(_LOOK_EVERY_S):
            row = reader.execute(_STORED, (symbol,)).fetchone()
            if row and row[0] > (stored[-1][1] if stored else 0):
                stored.append((time.time(), row[0]))
