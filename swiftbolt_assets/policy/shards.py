"""Shards: the symbols divided over several sets of the same assets, so that each set stays small.

Dagster looks at all partitions of an asset in many places, and is slow beyond a quarter of a
million (500 symbols over two years). With `SWIFTBOLT_SHARDS` above 1 the assets exist once a shard,
each with a partition set of its own. A symbol's shard follows from its name and the count alone:
CRC-32 of the ticker, modulo the count. So every process knows it without asking, and another count
is another set of assets: names hold the count, and nothing of one is mistaken for another's.

What belongs here: a symbol's shard, and the names. What does not: the partitions
(`assets/partitions.py`), and coverage, which knows no shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swiftbolt_assets.market.timeframes import Timeframe

#: Beyond so many partitions an asset, looks of Dagster's UI and daemon take seconds.
MOST_PARTITIONS = 250_000


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One of so many parts of all symbols.

    Attributes:
        number: from 1 on.
        count: how many there are.

    """

    number: int
    count: int

    @property
    def suffix(self) -> str:
        """Return what its names end with: nothing where it is the only one."""
        return "" if self.count == 1 else f"_{self.number}of{self.count}"

    @property
    def partition_set(self) -> str:
        """Return the name of its set of symbols."""
        return f"symbols{self.suffix}"

    def asset(self, timeframe: Timeframe) -> str:
        """Return the name of its asset of a timeframe."""
        return f"{timeframe}_bars{self.suffix}"

    def job(self, name: str) -> str:
        """Return the name of its job that is called `name` where there is one shard."""
        return f"{name}{self.suffix}"

    def holds(self, symbol: str) -> bool:
        """Return whether a canonical symbol is of this shard."""
        return Shards(self.count).of(symbol) == self


#: All symbols.
WHOLE = Shard(1, 1)


@dataclass(frozen=True, slots=True)
class Shards:
    """All shards of an installation.

    Attributes:
        count: how many, at least 1.

    """

    count: int

    @property
    def all(self) -> tuple[Shard, ...]:
        """Return them, by number."""
        return tuple(Shard(number, self.count) for number in range(1, self.count + 1))

    def of(self, symbol: str) -> Shard:
        """Return the shard of a canonical symbol."""
        return Shard(crc32(symbol.encode()) % self.count + 1, self.count)

    def divided(self, symbols: Iterable[str]) -> dict[Shard, list[str]]:
        """Return symbols by shard, in their order; shards without one are left out."""
        divided: dict[Shard, list[str]] = {}
        for symbol in symbols:
            divided.setdefault(self.of(symbol), []).append(symbol)
        return divided


#: What stands without the setting: one shard, whose names have no suffix.
UNDIVIDED = Shards(1)


def shards_needed(symbols: int, days: int) -> int:
    """Return how many shards keep an asset's partitions few enough."""
    return max(1, -(-symbols * days // MOST_PARTITIONS))
