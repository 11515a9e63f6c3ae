"""Which symbols exist in the simulator, and how each of them trades.

What belongs here: the table of named symbols and the rule for all others. What does not: their
prices (`prices.py`). Symbols are case-sensitive, as at Polygon.

========================  =======================================================================
AAPL MSFT NVDA TSLA SPY   dense: every minute of 04:00 to 20:00 (960 a session, a half day 780)
QQQ AMZN GOOGL META       (the same)
SPLT                      dense; split 10:1 on 2025-09-08
REVS                      dense; reverse split 1:5 on 2026-02-02
NEWCO                     dense; listed on 2025-06-16, nothing before
HALT                      dense; halted 10:30 to 12:15 on each second Wednesday of March, and
                          all day on each third Wednesday of September
MIDL, BRK.B, JPM          liquid: every regular minute, about 700 base minutes a session
THIN                      sparse: about 40 base minutes a session, whole quarter hours without a
                          trade, one session in about twenty without any
ZZ...                     does not exist
any other ticker          dense or liquid, by a hash of its spelling (a capital, up to nine more
                          letters and digits, up to two parts such as ``.WS.A``)
========================  =======================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from swiftbolt_assets.simulator.calendar import nth_weekday
from swiftbolt_assets.simulator.directory import directory

if TYPE_CHECKING:
    from collections.abc import Mapping

_TICKER = re.compile(r"[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}")
_MISSING_PREFIX = "ZZ"
_WEDNESDAY = 2
_HALT_HOURS = (10 * 60 + 30, 12 * 60 + 15)
_WHOLE_DAY = (0, 24 * 60)


@dataclass(frozen=True, slots=True)
class Split:
    """From `day` on, `split_to` shares stand for `split_from` older ones."""

    day: date
    split_from: int
    split_to: int

    @property
    def ratio(self) -> float:
        """Return by what older prices are divided."""
        return self.split_to / self.split_from


class Density(NamedTuple):
    """The probabilities that a regular minute and one outside the session have a bar."""

    regular: float
    extended: float


# 390 regular minutes and 54 % of the 570 others make about 700; 8 % and 1.5 % make about 40.
DENSE = Density(1.0, 1.0)
LIQUID = Density(1.0, 0.545)
SPARSE = Density(0.08, 0.015)


@dataclass(frozen=True, slots=True)
class Listing:
    """How a symbol trades.

    Attributes:
        symbol: the ticker, class shares with a dot.
        name: of the company.
        price: the level around which it wanders, in dollars after all splits.
        daily_shares: an ordinary day's volume after all splits.
        density: how often a minute has a bar.
        empty_one_in: one session in so many has no trade; 0 = none.
        listed: the first session, or None when older than the calendar.
        delisted: the first day without it, or None.
        splits: oldest first.
        halts: whether it is halted by the rule of the table above.

    """

    symbol: str
    name: str
    price: float
    daily_shares: float
    density: Density = DENSE
    empty_one_in: int = 0
    listed: date | None = None
    delisted: date | None = None
    splits: tuple[Split, ...] = ()
    halts: bool = False

    def trades_on(self, day: date) -> bool:
        """Return whether the symbol is listed on a day."""
        return not (self.listed is not None and day < self.listed) and not (
            self.delisted is not None and day >= self.delisted
        )

    def halt_on(self, day: date) -> tuple[int, int] | None:
        """Return the halted minutes after midnight `[from, to)` of a day, or None."""
        if not self.halts:
            return None
        if day == nth_weekday(day.year, 3, _WEDNESDAY, 2):
            return _HALT_HOURS
        return _WHOLE_DAY if day == nth_weekday(day.year, 9, _WEDNESDAY, 3) else None

    def raw_factor(self, day: date) -> float:
        """Return by what the price after all splits is multiplied to get the day's own."""
        factor = 1.0
        for split in self.splits:
            if day < split.day:
                factor *= split.ratio
        return factor

    def adjustment(self, day: date, today: date) -> float:
        """Return by what a day's own price is divided when it is shown adjusted `today`."""
        factor = 1.0
        for split in self.splits:
            if day < split.day <= today:
                factor *= split.ratio
        return factor


NAMED = {
    listing.symbol: listing
    for listing in (
        Listing("AAPL", "Apple Inc.", 210.0, 5.2e7),
        Listing("MSFT", "Microsoft Corp", 430.0, 2.1e7),
        Listing("NVDA", "Nvidia Corp", 150.0, 1.9e8),
        Listing("TSLA", "Tesla, Inc.", 300.0, 9.0e7),
        Listing("SPY", "SPDR S&P 500 ETF Trust", 600.0, 6.0e7),
        Listing("QQQ", "Invesco QQQ Trust", 520.0, 4.1e7),
        Listing("AMZN", "Amazon.Com Inc", 205.0, 4.0e7),
        Listing("GOOGL", "Alphabet Inc. Class A", 180.0, 2.9e7),
        Listing("META", "Meta Platforms, Inc. Class A", 620.0, 1.4e7),
        Listing("JPM", "JPMorgan Chase & Co.", 250.0, 9.1e6, LIQUID),
        Listing("BRK.B", "Berkshire Hathaway Inc. Class B", 470.0, 3.9e6, LIQUID),
        Listing("MIDL", "Middling Liquidity Corp", 48.0, 1.6e6, LIQUID),
        Listing("THIN", "Thinly Traded Holdings", 12.0, 9.0e3, SPARSE, empty_one_in=20),
        Listing("HALT", "Halted Industries Inc.", 27.0, 3.3e6, halts=True),
        Listing("NEWCO", "Newly Listed Co", 34.0, 7.7e6, listed=date(2025, 6, 16)),
        Listing("SPLT", "Ten For One Inc.", 64.0, 2.2e7, splits=(Split(date(2025, 9, 8), 1, 10),)),
        Listing("REVS", "Reverse Split Corp", 22.0, 1.9e6, splits=(Split(date(2026, 2, 2), 5, 1),)),
    )
}


@lru_cache(maxsize=4096)
def number_of(text: str) -> int:
    """Return 64 bits that depend on a text alone, the same on every machine."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class Listings:
    """The symbols of one simulator, with the splits and delistings that its settings add."""

    def __init__(
        self,
        extra_splits: Mapping[str, tuple[Split, ...]],
        delistings: Mapping[str, date] | None = None,
    ) -> None:
        self._extra_splits = extra_splits
        self._delistings = delistings or {}

    def find(self, symbol: str) -> Listing | None:
        """Return how a symbol trades, or None for one that does not exist."""
        if not _TICKER.fullmatch(symbol) or symbol.startswith(_MISSING_PREFIX):
            return None
        listing = NAMED.get(symbol) or _ordinary(symbol)
        if symbol in self._delistings:
            listing = replace(listing, delisted=self._delistings[symbol])
        extra = self._extra_splits.get(symbol, ())
        if not extra:
            return listing
        splits = sorted((*listing.splits, *extra), key=lambda split: split.day)
        return replace(listing, splits=tuple(splits))

    def listed(self) -> list[Listing]:
        """Return what the list of tickers holds: the table and the directory, by ticker."""
        symbols = sorted({*NAMED, *directory()})
        return [found for symbol in symbols if (found := self.find(symbol)) is not None]

    def named(self) -> list[Listing]:
        """Return the listings of the table, in the order of their symbols."""
        return [found for symbol in sorted(NAMED) if (found := self.find(symbol)) is not None]


def _ordinary(symbol: str) -> Listing:
    """Return a listing that only the spelling decides."""
    number = number_of(f"listing:{symbol}")
    price = 8.0 + number % 40_000 / 100
    shares = 4e5 * (1 + number // 40_000 % 100)
    dense = number >> 60 & 1
    name = directory().get(symbol, f"{symbol} Corp")
    return Listing(symbol, name, price, shares, DENSE if dense else LIQUID)
