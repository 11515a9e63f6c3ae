"""Which provider is left alone for a while, and for whom, learned from real outcomes only.

Every decision is one SQL function (`migrations/functions/providers.sql`): what counts, how long a
provider rests, and who sends the one request that finds out whether it answers again.

What belongs here: calling them, and the guard around a provider. What does not: how often one
request is tried (`http.py`), and what a refusal means for slices (`queue/slices.py`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from swiftbolt_assets.errors import (
    BeyondPlanError,
    KeyRefusedError,
    LeftAloneError,
    ProviderError,
    RateLimitedError,
    RetryableError,
    StorageError,
    is_refusal,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import date, datetime

    from resources.providers.contract import Answer, BarProvider

    Connection = psycopg.Connection[Any]

_REASON_LENGTH = 300
#: How long a killed prober keeps others waiting; longer than a request that waits for its slot.
_LEASE_S = 90.0
_SHOWN = 5

_COOLING = """
select cooling_until,
  greatest(extract(epoch from cooling_until - clock_timestamp()), 0)::float8,
  reason, error_code, case when for_all then '{}' else symbols end,
  for_all and cardinality(symbols) >= 3 and error_code in ('INVALID_SYMBOL', 'PERMISSION_DENIED')
from provider_health
where provider = %s and cooling_until is not null
"""
_ASK = "select is_probe, wait_s, is_failing from ask_provider(%s, %s, %s, %s)"


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave to send a request.

    Attributes:
        is_probe: it is the one that finds out whether a provider answers again.
        is_single: it is tried once only, since the latest one failed in all its attempts.

    """

    is_probe: bool
    is_single: bool


@dataclass(frozen=True, slots=True)
class CoolDown:
    """A provider that has not answered lately and is left alone.

    Attributes:
        provider: its name.
        until: when it is asked again, UTC by the database's clock.
        seconds: until then; 0 when one request may find out whether it answers again.
        reason: the last failure, one line.
        error_code: its code.
        symbols: whose bars are not asked for; empty for all.
        is_of_refusals: it began with several symbols that were refused one after the other, which
            the provider may just not know; another one finds out.

    """

    provider: str
    until: datetime
    seconds: float
    reason: str
    error_code: str
    symbols: tuple[str, ...] = ()
    is_of_refusals: bool = False

    @property
    def is_for_all(self) -> bool:
        """Return whether no symbol at all is asked for."""
        return not self.symbols

    def error(self) -> LeftAloneError:
        """Return the refusal of a request in this time."""
        whose = f" {', '.join(self.symbols[:_SHOWN])}" if self.symbols else ""
        until = f"not asked before {self.until:%H:%M:%S} UTC (in {self.seconds:.0f} s)"
        if not self.seconds:
            until = "not asked, but for one request that finds out whether it answers again"
        return LeftAloneError(
            f"{self.provider}:{whose} {until}, because: {self.reason}", self.seconds
        )


class ProviderHealth:
    """The shared memory of failures; the database's clock counts.

    Args:
        transaction: opens one; each call is one of its own.

    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._transaction = transaction

    def failed(self, provider: str, symbol: str, error: ProviderError) -> None:
        """Count a failure.

        A refused key, or three symbols without an answer in between, start a cool-down of all;
        three failures of one or two symbols, a cool-down of these. A rate limit is waited out and
        is no failure; a day that is not over yet is an answer of a healthy provider.

        Raises:
            StorageError: the database cannot be reached.

        """
        if isinstance(error, RateLimitedError | LeftAloneError):
            return
        if isinstance(error, KeyRefusedError):
            kind = "key"
        elif is_refusal(error):
            kind = "refusal"
        elif isinstance(error, RetryableError):
            kind = "outage"
        else:
            self.answered(provider, None)
            return
        self._run(
            "select provider_failed(%s, %s, %s, %s, %s)",
            (provider, symbol, kind, error.code, one_line(error, _REASON_LENGTH)),
        )

    def beyond_plan(self, provider: str, symbol: str, last: date, error: BeyondPlanError) -> None:
        """Note that a window, which ended on a date, is said to be older than what the plan serves.

        Raises:
            StorageError: the database cannot be reached.

        """
        self._run(
            "select provider_beyond_plan(%s, %s, %s, %s, %s)",
            (provider, symbol, last, error.code, one_line(error, _REASON_LENGTH)),
        )

    def answered(self, provider: str, symbol: str | None) -> None:
        """Forget the failures: the provider has answered, for a symbol if one is given.

        Raises:
            StorageError: the database cannot be reached.

        """
        self._run("select provider_answered(%s, %s)", (provider, symbol))

    def cooling(self, provider: str) -> CoolDown | None:
        """Return the cool-down that no answer has ended yet, or None.

        Raises:
            StorageError: the database cannot be reached.

        """
        row = self._run(_COOLING, (provider,))
        if row is None:
            return None
        until, seconds, reason, code, symbols, is_of_refusals = row
        return CoolDown(
            provider, until, seconds, reason, code, tuple(symbols), is_of_refusals=is_of_refusals
        )

    def rests(self, provider: str) -> CoolDown | None:
        """Return the cool-down if it is of all symbols and its pause is not over, or None.

        Raises:
            StorageError: the database cannot be reached.

        """
        found = self.cooling(provider)
        return found if found is not None and found.is_for_all and found.seconds else None

    def admit(self, provider: str, symbol: str, *, at_once: bool) -> Leave:
        """Return the leave to send a request about a symbol.

        Args:
            provider: its name.
            symbol: canonical ticker.
            at_once: it need not wait for the end of a pause.

        Raises:
            LeftAloneError: it may not be asked now.
            StorageError: the database cannot be reached.

        """
        arguments = (provider, symbol, at_once, _LEASE_S)
        row = self._run(_ASK, arguments)
        is_probe, wait_s, is_failing = row or (False, None, False)
        if wait_s is None:
            return Leave(is_probe, is_single=is_probe or is_failing)
        found = self.cooling(provider)
        # It may have answered just now.
        told = f"{provider}: not asked just now" if found is None else str(found.error())
        raise LeftAloneError(told, wait_s)

    def _run(self, statement: str, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            with self._transaction() as connection:
                return connection.execute(statement, arguments).fetchone()
        except psycopg.Error as error:
            raise StorageError(f"provider health: {type(error).__name__}: {error}") from error


class GuardedProvider:
    """A provider that is not asked while it cools down.

    Args:
        inner: the provider.
        health: the shared memory.
        probe: lets one request through a cool-down at once, without retries; its outcome ends or
            renews the cool-down.
        single: no request is retried.
        judge: raises a `ProviderError` for an answer that is none, though it could be read.

    """

    def __init__(
        self,
        inner: BarProvider,
        health: ProviderHealth,
        *,
        probe: bool = False,
        single: bool = False,
        judge: Callable[[Answer], object] | None = None,
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._health = health
        self._probe = probe
        self._single = single
        self._judge = judge
        self._lock = threading.Lock()

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the provider's answer, or fail at once while it cools down.

        Raises:
            LeftAloneError: it cools down, or another request probes it.
            ProviderError: what the provider itself raised; its health knows it already.
            StorageError: the database cannot be reached.

        """
        with self._lock:
            leave = self._health.admit(self.name, symbol, at_once=self._probe)
            self._probe = self._probe and not leave.is_probe
        if not (leave.is_single or self._single):
            return self._fetch(symbol, first, last, priority)
        # A command that only looks at health brings no HTTP client.
        from resources.providers.http import without_retries

        with without_retries():
            return self._fetch(symbol, first, last, priority)

    def _fetch(self, symbol: str, first: date, last: date, priority: int) -> Answer:
        try:
            answer = self._inner.fetch(symbol, first, last, priority=priority)
            if self._judge is not None:
                self._judge(answer)
        except BeyondPlanError as error:
            self._health.beyond_plan(self.name, symbol, last, error)
            raise
        except ProviderError as error:
            self._health.failed(self.name, symbol, error)
            raise
        self._health.answered(self.name, symbol)
        return answer
