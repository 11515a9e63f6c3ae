"""Which bars of a reply are far from their place in the order of time.

Replies ascend. Two neighbours that changed places are harmless: sorting mends them. A bar that
stands far from where it belongs was mixed in from another date, and where that date has no bar of
its own, sorting would make it one. A reply in quite another order says nothing about single bars.

What belongs here: order alone. What does not: the other rules (`validation.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Above this share of bars out of place it is the reply that has another order.
_FEW = 0.1
#: Neighbours that changed places lie no farther apart than the longest closure of the exchange.
_NEAR_US = 7 * 24 * 3600 * 1_000_000


def strays(stamps: NDArray[np.int64]) -> list[int]:
    """Return the positions of the bars to distrust, ascending.

    Args:
        stamps: starts of the bars in microseconds, in the order of the wire.

    """
    if not len(stamps) or bool((np.diff(stamps) >= 0).all()):
        return []
    times = stamps.tolist()
    in_order = set(_longest_ascent(times))
    outside = [at for at in range(len(times)) if at not in in_order]
    if len(outside) > _FEW * len(times):
        return []
    return [at for at in outside if not _is_swapped(times, at)]


def _is_swapped(times: Sequence[int], at: int) -> bool:
    """Return whether changing places with a neighbour in time puts a bar in order."""
    here, last = times[at], len(times) - 1
    before = at > 0 and 0 <= times[at - 1] - here <= _NEAR_US
    after = at < last and 0 <= here - times[at + 1] <= _NEAR_US
    return (before and (at == 1 or times[at - 2] <= here)) or (
        after and (at + 1 == last or here <= times[at + 2])
    )


def _longest_ascent(times: Sequence[int]) -> list[int]:
    """Return the positions of a longest subsequence that never falls."""
    ends: list[int] = []
    positions: list[int] = []
    previous: list[int] = []
    for at, value in enumerate(times):
        length = bisect_right(ends, value)
        previous.append(positions[length - 1] if length else -1)
        if length == len(ends):
            ends.append(value)
            positions.append(at)
        else:
            ends[length] = value
            positions[length] = at
    found = []
    at = positions[-1]
    while at >= 0:
        found.append(at)
        at = previous[at]
    return found
