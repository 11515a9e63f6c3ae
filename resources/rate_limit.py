"""The shared request budget: never more than N requests in any window, over all processes.

What belongs here: taking and giving back slots. The rule itself is SQL
(`swiftbolt_assets/migrations/sql/0001_rate_limit.sql`), so that only the database's clock counts.
What does not: what a request is (`http.py`), which provider has which limit (`polygon.py`,
`tradier.py`, the settings).
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg.rows import tuple_row

from resources.retries import attempts
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Connection = psycopg.Connection[Any]

#: A minute limit with a margin of half a second: clocks drift, and providers round.
WINDOW_S = 60.5
#: How long a slot stays taken when its holder dies; longer than a whole request may last.
LEASE_S = 120.0
#: Work below this priority leaves one slot free, so that urgent work never finds all taken.
URGENT_PRIORITY = 200
#: How long a database that restarts is waited for.
PATIENCE_S = 60.0

_LOG = logging.getLogger(__name__)
#: A restarting database refuses, hangs up, or cannot be reached.
_LOST = (psycopg.OperationalError, psycopg.InterfaceError, StorageError)

_TRY = "select waiter, slot, poll_s, eta_s from rate_try(%s, %s, %s, %s, %s, %s, %s, %s)"
_DONE = "select rate_done(%s, %s, %s)"
_LEAVE = "select rate_leave(%s, %s)"
_PUSH = "select rate_push(%s, %s)"
_CONFIGURE = "select rate_configure(%s, %s, %s)"
_BEGIN = "select rate_begin(%s, %s, %s)"
_STATE = "select n, free, next_free_s, waiting from rate_state(%s)"


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to send one request.

    Attributes:
        slot: the row that counts it, None without a limit.
        holder: who took it.
        deadline: `time.monotonic()` after which the request must not be under way any more.

    """

    slot: int | None
    holder: str
    deadline: float


@dataclass(frozen=True, slots=True)
class LimiterState:
    """What a newcomer would find.

    Attributes:
        per_window: requests in any window; 0 without a limit.
        window_s: the window's length in seconds; 0 without a limit.
        free: slots that could be taken now.
        next_free_s: seconds until the next one is free; 0 when one is.
        waiting: callers in the queue.

    """

    per_window: int
    window_s: float
    free: int
    next_free_s: float
    waiting: int


class Limiter(Protocol):
    """What the transport needs of a limit."""

    @property
    def per_minute(self) -> int:
        """Return the limit as this process last set it; 0 without a limit."""
        ...

    @property
    def lease_s(self) -> float:
        """Return how long a request may last."""
        ...

    def slot(
        self, *, priority: int, on_wait: Callable[[float], None] | None = None
    ) -> AbstractContextManager[Grant]:
        """Wait for a slot and hold it for one request; `on_wait` hears the seconds expected."""
        ...

    def push(self, seconds: float) -> None:
        """Serve nobody for so many seconds: the provider has refused."""
        ...

    def configure(self, per_minute: int) -> None:
        """Set the limit, for all processes."""
        ...

    def begin(self, per_minute: int) -> None:
        """Set the limit, for all processes, unless one has learned a better one since."""
        ...

    def state(self) -> LimiterState:
        """Return what a newcomer would find."""
        ...

    def close(self) -> None:
        """Close what is held open."""
        ...


def limiter(connect: Callable[[], Connection], name: str, per_minute: int) -> Limiter:
    """Return the limiter of a setting; 0 requests a minute means no limit."""
    return PostgresLimiter(connect, name, per_minute) if per_minute else Unlimited()


class Unlimited:
    """No limit; only a provider's refusal is waited out, in this process."""

    per_minute = 0
    lease_s = math.inf

    def __init__(self) -> None:
        self._closed_until = -math.inf

    @contextmanager
    def slot(
        self, *, priority: int, on_wait: Callable[[float], None] | None = None
    ) -> Iterator[Grant]:
        """Yield at once, or when the provider's refusal is over."""
        del priority  # nobody queues here
        while (left := self._closed_until - time.monotonic()) > 0:
            if on_wait:
                on_wait(left)
            time.sleep(left)
        yield Grant(None, "", math.inf)

    def push(self, seconds: float) -> None:
        """Serve nobody in this process for so many seconds."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)

    def configure(self, per_minute: int) -> None:
        """Ignore it: the operator asked for no limit."""

    def begin(self, per_minute: int) -> None:
        """Ignore it: the operator asked for no limit."""

    def state(self) -> LimiterState:
        """Return that everything is free, unless the provider has refused."""
        left = max(self._closed_until - time.monotonic(), 0.0)
        return LimiterState(0, 0.0, 0 if left else 1, left, 0)

    def close(self) -> None:
        """Do nothing: nothing is held open."""


@dataclass(slots=True)
class _Held:
    """One process's connection; a forked child gets its own."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    connection: Connection | None = None


class PostgresLimiter:
    """A limit that all processes with the same database share.

    Args:
        connect: opens a connection to the database, outside any transaction on bars.
        name: the budget's name, `polygon` or `tradier`.
        per_minute: requests in any window; used as it stands only while nobody has configured
            the budget yet, so that a process with an older setting changes nothing.
        window_s: the window's length in seconds.
        lease_s: how long a slot of a dead holder stays taken, before its window.

    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        per_minute: int,
        *,
        window_s: float = WINDOW_S,
        lease_s: float = LEASE_S,
    ) -> None:
        if per_minute < 1:
            raise ValueError(f"{name}: {per_minute} requests a minute is no limit; use Unlimited")
        self.name = name
        self.per_minute = per_minute
        self.window_s = window_s
        self.lease_s = lease_s
        self._connect = connect
        # By process: a parent's connections must be neither used nor closed by its child.
        self._held: dict[int, _Held] = {}

    @contextmanager
    def slot(
        self, *, priority: int, on_wait: Callable[[float], None] | None = None
    ) -> Iterator[Grant]:
        """Wait for a slot and hold it for one request.

        Nothing passes without a slot: if the database stays away for `PATIENCE_S`, the wait fails.

        Raises:
            StorageError: the database cannot be reached.

        """
        grant = self._take(priority, on_wait)
        try:
            yield grant
        finally:
            self._release(grant)

    def push(self, seconds: float) -> None:
        """Serve nobody, in any process, for so many seconds (at most 15 minutes)."""
        self._call(_PUSH, (self.name, seconds))

    def configure(self, per_minute: int) -> None:
        """Set the limit for all processes; it holds from the next grant on."""
        self._call(_CONFIGURE, (self.name, per_minute, self.window_s))
        self.per_minute = per_minute

    def begin(self, per_minute: int) -> None:
        """Set the limit for all processes; what was learned under the same setting stands."""
        row = self._call(_BEGIN, (self.name, per_minute, self.window_s))
        self.per_minute = row[0] if row else per_minute

    def state(self) -> LimiterState:
        """Return what a newcomer would find."""
        row = self._call(_STATE, (self.name,))
        if row is None:
            return LimiterState(self.per_minute, self.window_s, self.per_minute, 0.0, 0)
        n, free, next_free_s, waiting = row
        return LimiterState(n, self.window_s, free, next_free_s, waiting)

    def close(self) -> None:
        """Close this process's connection; the next call opens a new one."""
        held = self._mine()
        with held.lock:
            if held.connection is not None:
                held.connection.close()
                held.connection = None

    def _take(self, priority: int, on_wait: Callable[[float], None] | None) -> Grant:
        holder = uuid.uuid4().hex
        reserve = 0 if priority >= URGENT_PRIORITY else 1
        waiter: int | None = None
        try:
            while True:
                # The lease runs from the database's grant, so from no earlier than this.
                asked = time.monotonic()
                row = self._call(
                    _TRY,
                    (
                        *(self.name, waiter, priority, reserve),
                        *(self.lease_s, holder, self.per_minute, self.window_s),
                    ),
                )
                waiter, slot, poll_s, eta_s = row or (None, None, 1.0, 1.0)
                if slot is not None:
                    return Grant(slot, holder, asked + self.lease_s)
                if on_wait:
                    on_wait(eta_s)
                time.sleep(poll_s)
        except BaseException:
            if waiter is not None:
                self._attempt(_LEAVE, (waiter, holder))
            raise

    def _release(self, grant: Grant) -> None:
        """Start the slot's window.

        A failure costs the rest of the lease, never the reply: it is only logged.
        """
        arguments = (self.name, grant.slot, grant.holder)
        if not self._attempt(_DONE, arguments) and not self._attempt(_DONE, arguments):
            _LOG.warning("%s: a slot stays taken until its lease ends", self.name)

    def _attempt(self, statement: str, arguments: tuple[Any, ...]) -> bool:
        """Run a statement whose failure is harmless; return whether it ran."""
        try:
            self._once(statement, arguments)
        except (psycopg.Error, StorageError) as error:
            _LOG.info("%s: %s", self.name, _first_line(error))
            return False
        return True

    def _call(self, statement: str, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Run a statement, on a new connection as often as the database is lost."""
        try:
            for attempt in attempts(
                _LOST, most=None, within_s=PATIENCE_S, first_wait_s=0.1, longest_wait_s=2.0
            ):
                with attempt:
                    return self._once(statement, arguments)
        except (psycopg.Error, StorageError) as error:
            raise StorageError(f"rate limit {self.name}: {_first_line(error)}") from error
        raise AssertionError("unreachable")

    def _once(self, statement: str, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        held = self._mine()
        with held.lock:
            if held.connection is None or held.connection.closed:
                held.connection = self._connect()
                held.connection.autocommit = True
                # A pooler in transaction mode loses prepared statements.
                held.connection.prepare_threshold = None
            try:
                with held.connection.cursor(row_factory=tuple_row) as cursor:
                    return cursor.execute(statement, arguments).fetchone()
            except _LOST:
                held.connection.close()
                raise

    def _mine(self) -> _Held:
        pid = os.getpid()
        return self._held.get(pid) or self._held.setdefault(pid, _Held())


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
