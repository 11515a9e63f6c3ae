"""Refreshes a symbol's session of today from the live provider.

Its bars are stored as they stand: closed ones `live`, the forming one `provisional`, and the
session stays `provisional` in the ledger until the New York date has changed and history answers.

What belongs here: one refresh of one symbol. What does not: when to refresh (the schedule).
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from resources.bars.session_write import SessionsWrite, Written
from swiftbolt_assets.filling.filler import Filled
from swiftbolt_assets.market.by_session import newest_wins
from swiftbolt_assets.market.coverage import Reason, SessionCoverage, State
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import SLOT
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import validate

if TYPE_CHECKING:
    from datetime import datetime

    from resources.bars.store import BarStore
    from resources.providers.contract import BarProvider
    from swiftbolt_assets.filling.target import Target
    from swiftbolt_assets.market.sessions import Session


def refresh_today(
    target: Target, session: Session, *, now: datetime, provider: BarProvider, store: BarStore
) -> Filled:
    """Ask for today's bars and store them; nothing is asked before the session opens.

    Raises:
        ProviderError: the provider does not answer.
        StorageError: the database does not answer or refuses.

    """
    if now < session.opens:
        waiting = SessionCoverage(
            session.day, State.PROVISIONAL, Reason.NOT_FETCHED, session.slots, 0, 0
        )
        return Filled((waiting,), {}, Written(0, 0, 0), 0, 0, 0.0)
    started = time.monotonic()
    answer = provider.fetch(target.symbol, session.day, session.day, priority=target.priority)
    # The closing auction's print comes as a bar that starts at the close: true, but no regular bar.
    delivered = answer.bars.filter(pl.col("ts").ne_missing(session.closes))
    # A request may have waited for its slot: what began meanwhile is no bar of the future.
    answered = now + timedelta(seconds=time.monotonic() - started)
    verdict = validate(delivered, session.opens, min(session.closes, answered))
    stored = store.read(
        target.symbol_id,
        Timeframe.M15,
        session.opens,
        session.closes,
        provider=answer.provider,
    )
    # An answer may have lost bars that an earlier one had.
    m15 = newest_wins(verdict.good, stored)
    bars = {Timeframe.M15: m15} | {
        timeframe: resample(m15, [session], timeframe) for timeframe in target.derived
    }
    coverage = SessionCoverage(
        day=session.day,
        state=State.PROVISIONAL,
        reason=None if m15.height else Reason.NOT_FETCHED,
        expected=session.slots,
        bars=m15.height,
        answers=0,
    )
    written = store.write(
        SessionsWrite(
            symbol_id=target.symbol_id,
            provider=answer.provider,
            opens=session.opens,
            closes=session.closes,
            bars=bars,
            forming=_forming(session, now),
            coverage=(coverage,),
            rejects=verdict.rejects,
            request_id=answer.request_ids[0] if answer.request_ids else None,
        )
    )
    counts = {timeframe: {session.day: frame.height} for timeframe, frame in bars.items()}
    seconds = time.monotonic() - started
    return Filled((coverage,), counts, written, verdict.rejects.height, answer.requests, seconds)


def _forming(session: Session, now: datetime) -> dict[Timeframe, datetime]:
    """Return the start of each timeframe's bar that is still forming; none after the close."""
    if now >= session.closes:
        return {}
    elapsed = now - session.opens
    starts = {}
    for timeframe in Timeframe:
        width = SLOT * (timeframe.minutes // 15)
        starts[timeframe] = session.opens + elapsed // width * width
    return starts
