"""The shared request budget: never more than N requests in any window, over all processes.

What belongs here: taking and giving back slots. The rule itself is SQL
(`swiftbolt_assets/migrations/functions/budget.sql`), so that only the database's clock counts.
What does not: what a request is (`http.py`), which provider has which limit
(its record, the settings).
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

from resources.retries import retried
from swiftbolt_assets.errors import BudgetClosedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Connection = psycopg.Connection[Any]

#: A minute limit with a margin of half a second: clocks drift, and providers round.
WINDOW_S = 60.5
#: How long a slot stays taken when its holder dies; longer than a whole request may last.
LEASE_S = 120.0
#: Not above this: a request in spare time, that no bar waits for.
SPARE = 0
#: A budget that stays closed for longer is not waited for: a run holds a place meanwhile.
PATIENT_S = 300.0
#: After a refusal that does not say how long to wait; doubled with each that follows.
FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 1200.0
_LONGEST_CLOSURE_S = 86_400.0
#: How long a database that restarts is waited for.
PATIENCE_S = 60.0

_LOG = logging.getLogger(__name__)
#: A restarting database refuses, hangs up, or cannot be reached.
_LOST = (psycopg.OperationalError, psycopg.InterfaceError, StorageError)

_TRY = "select waiter, slot, poll_s, eta_s, closed_s from rate_try(%s, %s, %s, %s, %s, %s, %s, %s)"
_DONE = "select rate_done(%s, %s, %s)"
_LEAVE = "select rate_leave(%s, %s)"
_PUSH = "select rate_push(%s, %s)"
_REFUSED = "select rate_refused(%s, %s, %s, %s)"
_CONFIGURE = "select rate_configure(%s, %s, %s)"
_BEGIN = "select rate_begin(%s, %s, %s)"
_STATE = "select n, free, next_free_s, waiting, closed_s from rate_state(%s)"


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
        closed_s: seconds for which nobody is served, because the provider has refused; mostly 0.

    """

    per_window: int
    window_s: float
    free: int
    next_free_s: float
    waiting: int
    closed_s: float = 0.0


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
        self,
        *,
        priority: int,
        symbol: str | None = None,
        on_wait: Callable[[float], None] | None = None,
    ) -> AbstractContextManager[Grant]:
        """Wait for a slot and hold it for one request.

        Args:
            priority: who has more goes first, and finds more of the budget free.
            symbol: whose present priority counts where it is higher: somebody may begin to look at
                it meanwhile. None for what no bar waits for.
            on_wait: hears the seconds expected.

        """
        ...

    def push(self, seconds: float) -> None:
        """Serve nobody for so many seconds: the provider's budget is used up."""
        ...

    def refused(self, seconds: float | None) -> float:
        """Serve nobody for a while, because the provider has refused; return the seconds.

        Args:
            seconds: what it asks for; None where it does not say.

        """
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


def in_words(seconds: float) -> str:
    """Return a span of time for a message."""
    minutes = round(seconds / 60)
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"  # noqa: PLR2004


def closed_error(seconds: float) -> BudgetClosedError:
    """Return the refusal of a request while nobody is served."""
    return BudgetClosedError(
        f"it asked to be left alone; not asked for {in_words(seconds)}", seconds
    )


def closed_for(transaction: Callable[[], AbstractContextManager[Connection]], name: str) -> float:
    """Return for how many seconds nobody is served, because the provider has refused; mostly 0.

    Raises:
        StorageError: the database does not answer.

    """
    try:
        with transaction() as connection:
            row = connection.execute("select closed_s from rate_state(%s)", (name,)).fetchone()
    except psycopg.Error as error:
        raise StorageError(f"rate limit {name}: {_first_line(error)}") from error
    return float(row[0]) if row else 0.0


def limiter(connect: Callable[[], Connection], name: str, per_minute: int) -> Limiter:
    """Return the limiter of a setting; 0 requests a minute means no limit."""
    return PostgresLimiter(connect, name, per_minute) if per_minute else Unlimited()


class Unlimited:
    """No limit; only a provider's refusal is waited out, in this process."""

    per_minute = 0
    lease_s = math.inf

    def __init__(self) -> None:
        self._closed_until = -math.inf
        self._pause_s = 0.0

    @contextmanager
    def slot(
        self,
        *,
        priority: int,
        symbol: str | None = None,
        on_wait: Callable[[float], None] | None = None,
    ) -> Iterator[Grant]:
        """Yield at once, or when the provider's refusal is over."""
        del priority, symbol  # nobody queues here
        while (left := self._closed_until - time.monotonic()) > 0:
            if left > PATIENT_S:
                raise closed_error(left)
            if on_wait:
                on_wait(left)
            time.sleep(left)
        yield Grant(None, "", math.inf)

    def push(self, seconds: float) -> None:
        """Serve nobody in this process for so many seconds."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)

    def refused(self, seconds: float | None) -> float:
        """Serve nobody in this process for a while; return the seconds."""
        if seconds is None:
            # A refusal soon after a pause says that it was too short.
            again = time.monotonic() < self._closed_until + self._pause_s
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S) if again else FIRST_PAUSE_S
        pause = self._pause_s if seconds is None else min(seconds, _LONGEST_CLOSURE_S)
        self.push(pause)
        return pause

    def configure(self, per_minute: int) -> None:
        """Ignore it: the operator asked for no limit."""

    def begin(self, per_minute: int) -> None:
        """Ignore it: the operator asked for no limit."""

    def state(self) -> LimiterState:
        """Return that everything is free, unless the provider has refused."""
        left = max(self._closed_until - time.monotonic(), 0.0)
        return LimiterState(0, 0.0, 0 if left else 1, left, 0, left)

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
        name: the budget's name: its provider's.
        per_minute: requests in any window; used as it stands only while nobody has configured
            the budget yet, so that a process with an older setting changes nothing.
        window_s: the window's length in seconds.
        lease_s: how long a slot of a dead holder stays taken, before its window.
        first_pause_s: after a refusal that does not say how long to wait.
        patient_s: a budget that stays closed for longer is not waited for.

    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        name: str,
        per_minute: int,
        *,
        window_s: float = WINDOW_S,
        lease_s: float = LEASE_S,
        first_pause_s: float = FIRST_PAUSE_S,
        patient_s: float = PATIENT_S,
    ) -> None:
        if per_minute < 1:
            raise ValueError(f"{name}: {per_minute} requests a minute is no limit; use Unlimited")
        self.name = name
        self.per_minute = per_minute
        self.window_s = window_s
        self.lease_s = lease_s
        self._first_pause_s = first_pause_s
        self._patient_s = patient_s
        self._connect = connect
        # By process: a parent's connections must be neither used nor closed by its child.
        self._held: dict[int, _Held] = {}

    @contextmanager
    def slot(
        self,
        *,
        priority: int,
        symbol: str | None = None,
        on_wait: Callable[[float], None] | None = None,
    ) -> Iterator[Grant]:
        """Wait for a slot and hold it for one request.

        Nothing passes without a slot: if the database stays away for `PATIENCE_S`, the wait fails.

        Raises:
            BudgetClosedError: the provider asked to be left alone for longer than one waits.
            StorageError: the database cannot be reached.

        """
        grant = self._take(priority, symbol, on_wait)
        try:
            yield grant
        finally:
            self._release(grant)

    def push(self, seconds: float) -> None:
        """Serve nobody, in any process, for so many seconds (at most a day)."""
        self._call(_PUSH, (self.name, seconds))

    def refused(self, seconds: float | None) -> float:
        """Serve nobody, in any process, for a while; return the seconds."""
        row = self._call(_REFUSED, (self.name, seconds, self._first_pause_s, LONGEST_PAUSE_S))
        return float(row[0]) if row else self._first_pause_s

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
        n, free, next_free_s, waiting, closed_s = row
        return LimiterState(n, self.window_s, free, next_free_s, waiting, closed_s)

    def close(self) -> None:
        """Close this process's connection; the next call opens a new one."""
        held = self._mine()
        with held.lock:
            if held.connection is not None:
                held.connection.close()
                held.connection = None

    def _take(
        self, priority: int, symbol: str | None, on_wait: Callable[[float], None] | None
    ) -> Grant:
        holder = uuid.uuid4().hex
        waiter: int | None = None
        try:
            while True:
                # The lease runs from the database's grant, so from no earlier than this.
                asked = time.monotonic()
                row = self._call(
                    _TRY,
                    (
                        *(self.name, waiter, priority, symbol),
                        *(self.lease_s, holder, self.per_minute, self.window_s),
                    ),
                )
                waiter, slot, poll_s, eta_s, closed_s = row or (None, None, 1.0, 1.0, 0.0)
                if slot is not None:
                    return Grant(slot, holder, asked + self.lease_s)
                self._refuse_long_closure(closed_s)
                if on_wait:
                    on_wait(eta_s)
                time.sleep(poll_s)
        except BaseException:
            if waiter is not None:
                self._attempt(_LEAVE, (waiter, holder))
            raise

    def _refuse_long_closure(self, seconds: float) -> None:
        if seconds > self._patient_s:
            raise closed_error(seconds)

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
            return retried(
                lambda: self._once(statement, arguments),
                _LOST,
                most=None,
                within_s=PATIENCE_S,
                first_wait_s=0.1,
                longest_wait_s=2.0,
            )
        except (psycopg.Error, StorageError) as error:
            raise StorageError(f"rate limit {self.name}: {_first_line(error)}") from error

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
