"""The one way to stamina: another try after a growing, jittered wait.

What belongs here: how retries are logged. What does not: what is worth another try
(`swiftbolt_assets/errors.py`) and how often (`providers/http.py`, `providers/rate_limit.py`,
`postgres/in_turn.py`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

import stamina
from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def retried(
    work: Callable[[], T],
    on: type[Exception] | tuple[type[Exception], ...],
    *,
    most: int | None,
    within_s: float | None,
    first_wait_s: float,
    longest_wait_s: float,
) -> T:
    """Return what `work` returns, tried once more after each `on` while an attempt is left.

    Args:
        work: one attempt.
        on: what is worth another try.
        most: attempts in all, None for no bound.
        within_s: seconds in all, None for no bound.
        first_wait_s: before the second attempt, doubled from there on, plus as much at random.
        longest_wait_s: between two attempts.

    """
    _log_plainly()
    for attempt in stamina.retry_context(
        on=on,
        attempts=most,
        timeout=within_s,
        wait_initial=first_wait_s,
        wait_max=longest_wait_s,
        wait_jitter=first_wait_s,
    ):
        with attempt:
            return work()
    raise AssertionError("the last attempt returns or raises")


@cache
def _log_plainly() -> None:
    """Log by the standard library: structlog, where it is installed, prints to standard output.

    There it would break what `--json` promises.
    """
    set_on_retry_hooks([LoggingOnRetryHook])
