"""What one transaction stores for one symbol, and what it did.

What belongs here: the two records. What does not: storing (`store.py`, `session_rows.py`), deciding
what is stored (`swiftbolt_assets/filling/filler.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    import polars as pl

    from swiftbolt_assets.market.coverage import SessionCoverage
    from swiftbolt_assets.market.timeframes import Timeframe


@dataclass(frozen=True)
class SessionsWrite:
    """What one transaction stores for one symbol.

    Attributes:
        symbol_id: whose bars.
        provider: who answered.
        opens: first instant that the write speaks of.
        closes: first instant after it.
        bars: frames of `BAR_SCHEMA` by timeframe, ascending, no `ts` twice.
        forming: by timeframe, the start of the bar that is still forming; None for history.
        coverage: the ledger's rows.
        rejects: rejected bars (`market.validation.REJECT_SCHEMA`).
        request_id: the provider's id of the reply.
        kept: quarter hours without a bar of which nobody knows that they have none: live bars of
            them stay.

    """

    symbol_id: UUID
    provider: str
    opens: datetime
    closes: datetime
    bars: Mapping[Timeframe, pl.DataFrame]
    forming: Mapping[Timeframe, datetime] | None
    coverage: Sequence[SessionCoverage]
    rejects: pl.DataFrame
    request_id: str | None
    kept: Collection[datetime] = ()


@dataclass(frozen=True)
class Replaced:
    """What replacing a session's live bars by history showed, in 15-minute bars.

    Attributes:
        day: the session's New York date.
        live_bars: that the live provider had delivered.
        history_bars: that replaced them.
        differing: whose prices or volume differ, or that one of the two lacks.
        max_price_difference: dollars, of any of the four prices.
        max_volume_difference: shares.

    """

    day: date
    live_bars: int
    history_bars: int
    differing: int
    max_price_difference: float
    max_volume_difference: float


@dataclass(frozen=True)
class Written:
    """How many bar rows a transaction touched.

    Attributes:
        inserted: new rows.
        updated: rows whose values differed.
        unchanged: rows that stood already.
        replaced: sessions whose live bars gave way to history.

    """

    inserted: int
    updated: int
    unchanged: int
    replaced: Sequence[Replaced] = ()
