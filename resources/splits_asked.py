"""What is asked of a list of splits; apart, because planning it needs no provider's client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class SplitsAsked:
    """Which splits are asked for.

    Attributes:
        symbol: the canonical symbol, None for all.
        first: the first execution date; what is announced for the future always belongs to it.

    """

    symbol: str | None
    first: date
