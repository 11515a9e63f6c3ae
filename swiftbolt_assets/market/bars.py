"""What a bar is.

A bar is named by its start, an instant in UTC, and belongs to a session if
`opens <= ts < closes`. Prices are raw (not adjusted for splits); volume is a float because real
replies carry fractions and exponents.

What belongs here: the columns of bar frames. Where bars live is `resources/bars/store.py`, when
they are made `assets/bars.py`.
"""

from __future__ import annotations

import polars as pl

TS = pl.Datetime("us", "UTC")

#: One row a bar: `ts` start (UTC), prices in dollars, `volume` in shares, `vwap` in dollars or
#: null, `trade_count` or null.
BAR_SCHEMA: dict[str, pl.DataType] = {
    "ts": TS,
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
    "vwap": pl.Float64(),
    "trade_count": pl.Int64(),
}


def empty_bars() -> pl.DataFrame:
    """Return a bar frame without rows."""
    return pl.DataFrame(schema=BAR_SCHEMA)
