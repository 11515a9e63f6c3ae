"""Waits until a look finds something true, by real time.

What belongs here: the loop. What does not: retries of work that raises (`resources/retries.py`),
signals (`cli/stopping.py`), the market's clock (`clock.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def until(look: Callable[[], T], *, within_s: float, every_s: float) -> T:
    """Return the first true value of `look`, or what it returned last when the time was over."""
    deadline = time.monotonic() + within_s
    while not (seen := look()) and time.monotonic() <= deadline:
        time.sleep(every_s)
    return seen
