"""A session's bars as one line of text: what somebody who opens a materialization wants to see.

What belongs here: drawing with letters. What does not: charts (the web chart), and where the line
is shown (`swiftbolt_assets/assets/symbol_run.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swiftbolt_assets.market.by_session import counts_by_day
from swiftbolt_assets.market.prices import price_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl

    from swiftbolt_assets.market.sessions import Session

_STEPS = "▁▂▃▄▅▆▇█"


def sketches(bars: pl.DataFrame, sessions: Sequence[Session]) -> dict[date, str]:
    """Return a line for each of the sessions (ascending) that has a bar; they hold all of the bars.

    It draws the closes between the session's lowest and highest, and tells first, last, lowest and
    highest price in dollars and the volume in shares.
    """
    lines: dict[date, str] = {}
    row = 0
    for day, count in counts_by_day(bars, sessions).items():
        if count:
            lines[day] = _line(bars.slice(row, count))
        row += count
    return lines


def _line(bars: pl.DataFrame) -> str:
    closes: list[float] = bars["close"].to_list()
    lowest, highest = min(bars["low"].to_list()), max(bars["high"].to_list())
    low, high = min(closes), max(closes)
    width = (high - low) or 1.0
    drawn = "".join(_STEPS[int((close - low) / width * (len(_STEPS) - 1))] for close in closes)
    return (
        f"{drawn}  {price_text(bars['open'][0])} to {price_text(closes[-1])}, "
        f"low {price_text(lowest)}, high {price_text(highest)}, "
        f"volume {bars['volume'].sum():,.0f}"
    )
