"""Who may be taken on next, so that there is always room for what people look at now.

What belongs here: the decision. What does not: claiming (`resources/queue/slices.py`), and the
limit on Dagster's runs (`orchestration/configuration.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: From here on somebody looks at it: a chart, a watchlist.
URGENT = 200
#: Below this it is the platform's own idea: seeded and background symbols.
PEOPLE = 100
#: What the installation begins by itself, also without background symbols.
SEEDED = 90
#: Slots that only urgent symbols may take, where there are enough.
_KEPT_FREE = 2


def shared_slots(most: int) -> int:
    """Return how many of `most` slots symbols below `URGENT` may hold; at least one."""
    return max(1, most - _KEPT_FREE)


def lowest(*, background: bool) -> int:
    """Return the priority below which nothing is worked on.

    Args:
        background: whether the background symbols are filled at all.

    """
    return 0 if background else SEEDED


def least_priority(taken: Sequence[int], most: int, *, background: bool) -> int | None:
    """Return the priority that a symbol needs to be taken on next, or None without room.

    Args:
        taken: the priorities of the symbols that are taken on already.
        most: how many may be at once.
        background: whether the background symbols are filled at all.

    """
    if len(taken) >= most:
        return None
    if sum(priority < URGENT for priority in taken) >= shared_slots(most):
        return URGENT
    # One at a time of what nobody waits for.
    if any(priority < PEOPLE for priority in taken):
        return PEOPLE
    return lowest(background=background)
