"""Bars as an Arrow stream, for programs that would rather not parse JSON.

What belongs here: the columns and their types. What does not: which bars there are.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from fastapi import Response

from resources.bars.chart import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

ARROW = "application/vnd.apache.arrow.stream"


def arrow_reply(rows: Sequence[tuple[Any, ...]]) -> Response:
    """Return rows with `COLUMNS` as one record batch; `ts` is microseconds in UTC."""
    import polars as pl

    schema = {
        "ts": pl.String, "open": pl.Float64, "high": pl.Float64, "low": pl.Float64,
        "close": pl.Float64, "volume": pl.Float64, "provider": pl.String,
        "is_intraday": pl.Boolean, "is_forecast": pl.Boolean, "data_status": pl.String,
        "confidence_score": pl.Float64, "upper_band": pl.Float64, "lower_band": pl.Float64,
    }  # fmt: skip
    frame = pl.DataFrame(list(rows), schema={name: schema[name] for name in COLUMNS}, orient="row")
    frame = frame.with_columns(
        pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    )
    buffer = BytesIO()
    frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    return Response(buffer.getvalue(), media_type=ARROW, headers={"Cache-Control": "no-store"})
