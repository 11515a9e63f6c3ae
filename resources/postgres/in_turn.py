"""One transaction, run once more when another one crossed it.

What belongs here: telling that two transactions waited for each other, and the next attempt. What
does not: how attempts are spaced and logged (`resources/retries.py`), what a transaction is
(`database.py`, `callers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import psycopg

from resources.postgres.connection import first_line
from resources.retries import retried
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from resources.postgres.callers import Connection

T = TypeVar("T")

_ATTEMPTS = 5


class _CrossedError(StorageError):
    """Two transactions waited for each other."""


class Transactional(Protocol):
    """What opens transactions: a `Database`, or a pool acting for a caller."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Run one transaction."""


def in_turn(database: Transactional, write: Callable[[Connection], T]) -> T:
    """Run one transaction, once more when it met another one that locked in another order.

    The planner works on many symbols at once; two such transactions would wait for each other, and
    the server ends one of them.

    Raises:
        StorageError: the server does not answer or refuses the work.

    """

    def once() -> T:
        with database.transaction() as connection:
            try:
                return write(connection)
            except psycopg.errors.DeadlockDetected as error:
                raise _CrossedError(f"database: {first_line(error)}") from error

    return retried(
        once, _CrossedError, most=_ATTEMPTS, within_s=None, first_wait_s=0.05, longest_wait_s=1.0
    )
