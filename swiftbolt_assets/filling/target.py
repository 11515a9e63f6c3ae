"""Whose sessions a fill is about.

What belongs here: the record. What does not: filling them (`filler.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from swiftbolt_assets.market.timeframes import Timeframe


@dataclass(frozen=True)
class Target:
    """Whose sessions to fill, and how.

    Attributes:
        symbol: canonical ticker.
        symbol_id: its id.
        priority: for the request limiter.
        derived: the timeframes to derive.

    """

    symbol: str
    symbol_id: UUID
    priority: int
    derived: tuple[Timeframe, ...]
