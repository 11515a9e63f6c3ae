"""A session in one line: drawn between its lowest and highest close."""

from __future__ import annotations

from datetime import date

import polars as pl

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.sparkline import sketches

SESSIONS = xnys().between(date(2026, 11, 17), date(2026, 11, 19))


def bars(day: int, closes: list[float]) -> pl.DataFrame:
    starts = SESSIONS[day].slot_starts()
    rows = [
        (start, close, close + 1, close - 1, close, 1000.0, None, None)
        for start, close in zip(starts, closes, strict=False)
    ]
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")


def test_each_session_with_a_bar_has_its_line() -> None:
    both = pl.concat([bars(0, [10.0, 20.0, 15.0]), bars(2, [7.5])])
    assert sketches(both, SESSIONS) == {
        SESSIONS[0].day: "▁█▄  10.00 to 15.00, low 9.00, high 21.00, volume 3,000",
        SESSIONS[2].day: "▁  7.50 to 7.50, low 6.50, high 8.50, volume 1,000",
    }


def test_no_bar_is_no_line() -> None:
    assert sketches(empty_bars(), SESSIONS) == {}
