"""What a provider of bars promises: one protocol, and the records that pass through it.

What belongs here: the protocol and frozen records. What does not: one provider's wire format
(its folder), transport (`http.py`), lists beside bars (`lists.py`), what is done with an answer
(`swiftbolt_assets/filling/filler.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    import polars as pl

    from swiftbolt_assets.errors import ProviderError


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One HTTP request that was sent, kept in table `provider_requests`.

    Attributes:
        provider: its name.
        endpoint: the path, without query and key.
        symbol: the canonical symbol asked for, or None.
        sent_at: when it left, real time, UTC.
        seconds: until the body was read or the failure known.
        status: the HTTP status, or None when no reply came.
        outcome: `ok`, or the error's class name.
        request_id: the provider's own id of the reply, or None.
        bars: bars in the reply.
        base_minutes: stored one-minute bars behind the reply; 0 where they are not told.

    """

    provider: str
    endpoint: str
    symbol: str | None
    sent_at: datetime
    seconds: float
    status: int | None
    outcome: str
    request_id: str | None
    bars: int
    base_minutes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered to one window of sessions.

    Attributes:
        provider: who answered; stamped on every bar.
        symbol: the canonical symbol.
        first: first New York date asked for.
        last: last New York date asked for, inclusive.
        bars: the bars as delivered, in the order of the wire, all hours, not yet validated:
            columns of `market.bars.BAR_SCHEMA`, any of them null where the reply's field was
            absent or unusable.
        base_minutes: stored one-minute bars that the reply was built from; 0 when unknown.
        requests: HTTP requests that this answer cost, retries and pages included.
        request_ids: the provider's ids of the replies that were used.
        broken_off: why the answer stops before its end (a later page failed, or the limit was
            reached and no next page was named); None for a whole answer.

    """

    provider: str
    symbol: str
    first: date
    last: date
    bars: pl.DataFrame
    base_minutes: int
    requests: int
    request_ids: tuple[str, ...]
    broken_off: ProviderError | None


@dataclass(frozen=True, slots=True)
class Quote:
    """A symbol's price now; None where the source does not tell.

    Attributes:
        symbol: canonical ticker.
        last: of the last trade, dollars.
        bid, ask: best offers.
        open, high, low: of the newest day that traded.
        close: of that day, None while it trades.
        previous_close: of the day before.
        volume: shares of the day.
        average_volume: shares a day.
        year_high, year_low: of 52 weeks.
        traded_at: of the last trade, UTC.

    """

    symbol: str
    last: float
    bid: float | None
    ask: float | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    previous_close: float | None
    volume: float | None
    average_volume: float | None
    year_high: float | None
    year_low: float | None
    traded_at: datetime | None


class BarProvider(Protocol):
    """A source of 15-minute bars."""

    name: str

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the 15-minute bars of the New York dates `first`..`last`, both included.

        Raises:
            ProviderError: nothing usable came; its class says whether to try again.

        """
        ...


class QuoteProvider(Protocol):
    """A source of prices now."""

    def quotes(self, tickers: Sequence[str]) -> list[Quote]:
        """Return the quotes of those tickers that it knows.

        Raises:
            ProviderError: no usable reply came.
            StorageError: the request budget cannot be reached.

        """
        ...
