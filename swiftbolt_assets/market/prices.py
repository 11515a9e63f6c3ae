"""Prices as people read them: as many decimals as tell two of them apart.

What belongs here: numbers to text, as the page's `numbers.js` has them. What does not: rounding of
stored prices (`splits.py`).
"""

from __future__ import annotations

import math

_CENT = 0.01
#: Digits that tell prices below a cent apart.
_SIGNIFICANT = 4
_MOST_DECIMALS = 12


def decimals(value: float) -> int:
    """Return how many decimals a price in dollars shows: cents, parts of them below a dollar.

    Below a cent four digits are significant.
    """
    size = abs(value)
    if size == 0 or size >= 1:
        return 2
    if size >= _CENT:
        return 4
    return min(_SIGNIFICANT - math.floor(math.log10(size)) - 1, _MOST_DECIMALS)


def price_text(value: float) -> str:
    """Return a price in dollars, its thousands apart: `745,000.00`, `0.0004160`."""
    return f"{value:,.{decimals(value)}f}"
