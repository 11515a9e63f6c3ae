"""Derives 1-hour and 4-hour bars again from the stored 15-minute bars, without a request.

For runs that select `h1_bars` or `h4_bars` only, and after derivation was switched on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from resources.bars.session_write import SessionsWrite, Written
from resources.providers.registry import HISTORY
from swiftbolt_assets.market.by_session import counts_by_day, of_sessions
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.bars.store import BarStore
    from swiftbolt_assets.filling.target import Target
    from swiftbolt_assets.market.sessions import Session


def rebuild(target: Target, sessions: Sequence[Session], store: BarStore) -> Written:
    """Store what the history's 15-minute bars of `sessions` (ascending, past) resample to."""
    if not sessions or not target.derived:
        return Written(0, 0, 0)
    opens, closes = sessions[0].opens, sessions[-1].closes
    history = store.read(target.symbol_id, Timeframe.M15, opens, closes, provider=HISTORY.name)
    counts = counts_by_day(of_sessions(history, sessions), sessions)
    # Live bars stand there where history lacks some: they belong to the hours above.
    whole = store.read(target.symbol_id, Timeframe.M15, opens, closes)
    m15 = of_sessions(whole, [session for session in sessions if counts[session.day]])
    return store.write(
        SessionsWrite(
            symbol_id=target.symbol_id,
            provider=HISTORY.name,
            opens=opens,
            closes=closes,
            bars={timeframe: resample(m15, sessions, timeframe) for timeframe in target.derived},
            forming=None,
            coverage=(),
            rejects=pl.DataFrame(schema=REJECT_SCHEMA),
            request_id=None,
        )
    )
