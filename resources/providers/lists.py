"""The lists beside bars, of splits and of tickers: what is asked, and what is answered.

What belongs here: frozen records and the protocols of clients, which whoever plans and stores works
with. What does not: how one provider spells them (its folder), bars and prices (`contract.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import date

    from swiftbolt_assets.market.splits import Split


@dataclass(frozen=True, slots=True)
class SplitsAsked:
    """Which splits are asked for.

    Attributes:
        symbol: the canonical symbol, None for all.
        first: the first execution date; what is announced for the future always belongs to it.

    """

    symbol: str | None
    first: date


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One split as delivered.

    Attributes:
        symbol: whose.
        split: on the day on which it is listed.
        kind: forward_split, reverse_split or stock_dividend; by the ratio where none is named.
        provider_id: the provider's id of it, or None; another one at each pull.
        factor: what prices before it are to be multiplied by, later splits included, or None; it
            is rewritten at the next one.

    """

    symbol: str
    split: Split
    kind: str
    provider_id: str | None
    factor: float | None

    @property
    def event(self) -> tuple[str, date, str, float]:
        """Return what makes it one and the same split."""
        return self.symbol, self.split.day, self.kind, self.split.split_to / self.split.split_from


@dataclass(frozen=True, slots=True)
class SplitsAnswer:
    """What a provider answered, all pages of it.

    Attributes:
        asked: what was asked.
        rows: the splits, each event once.
        refused: one line for each that is unusable.
        requests: HTTP requests that it cost.
        request_id: the provider's id of the first page, or None.

    """

    asked: SplitsAsked
    rows: tuple[SplitRow, ...]
    refused: tuple[str, ...]
    requests: int
    request_id: str | None


class SplitList(Protocol):
    """A list of splits."""

    def fetch(self, asked: SplitsAsked, *, priority: int) -> SplitsAnswer:
        """Return the whole answer. Nothing is tried twice: bars need the budget more.

        Raises:
            ProviderError: a page did not come or cannot be trusted.
            StorageError: the request budget cannot be reached.

        """
        ...


@dataclass(frozen=True, slots=True)
class TickersPage:
    """One page.

    Attributes:
        names: ticker, as it is spelled -> name, empty where none is told.
        refused: how many rows are no ticker of a share that trades.
        cursor: leads to the next page; None after the last.
        request_id: the provider's id of the reply, or None.

    """

    names: dict[str, str]
    refused: int
    cursor: str | None
    request_id: str | None


class TickerPages(Protocol):
    """A list of tickers, a page at a time."""

    def page(self, cursor: str | None, *, priority: int) -> TickersPage:
        """Return the first page, or the one that a cursor leads to. Nothing is tried twice.

        Raises:
            ProviderError: it did not come or cannot be trusted.
            StorageError: the request budget cannot be reached.

        """
        ...
