"""Which provider is left alone for a while, learned from real outcomes only.

What belongs here: the table `provider_health` and the guard around a provider. What does not: how
often one request is tried (`http.py`), and which provider serves a date (`router.py`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg

from resources.http import without_retries
from swiftbolt_assets.errors import (
    PermissionDeniedError,
    ProviderError,
    RateLimitedError,
    RetryableError,
    StorageError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from resources.contract import Answer, BarProvider

    Connection = psycopg.Connection[Any]

#: So many failures in a row start a cool-down.
FAILURES = 3
COOL_DOWN_S = 300.0
_REASON_LENGTH = 300

_FAILED = """
insert into provider_health as h (provider, failures, cooling_until, reason, error_code)
values (
  %(provider)s, 1,
  case when %(at_once)s or %(limit)s <= 1
    then clock_timestamp() + make_interval(secs => %(seconds)s) end,
  %(reason)s, %(code)s)
on conflict (provider) do update set
  failures = h.failures + 1,
  cooling_until = case
    when %(at_once)s or h.failures + 1 >= %(limit)s or h.cooling_until > clock_timestamp()
    then clock_timestamp() + make_interval(secs => %(seconds)s) else h.cooling_until end,
  reason = excluded.reason,
  error_code = excluded.error_code,
  changed_at = clock_timestamp()
"""
_ANSWERED = """
update provider_health
set failures = 0, cooling_until = null, reason = null, error_code = null,
  changed_at = clock_timestamp()
where provider = %s and (failures > 0 or cooling_until is not null)
"""
_COOLING = """
select cooling_until, extract(epoch from cooling_until - clock_timestamp())::float8,
  reason, error_code
from provider_health
where provider = %s and cooling_until > clock_timestamp()
"""


@dataclass(frozen=True, slots=True)
class CoolDown:
    """A provider that is left alone.

    Attributes:
        provider: its name.
        until: when it is asked again, UTC by the database's clock.
        seconds: until then.
        reason: the last failure, one line.
        error_code: its code.

    """

    provider: str
    until: datetime
    seconds: float
    reason: str
    error_code: str

    def error(self) -> ProviderError:
        """Return the refusal of a request in this time, of the family that caused it."""
        text = (
            f"{self.provider}: not asked before {self.until:%H:%M:%S} UTC "
            f"(in {self.seconds:.0f} s), because: {self.reason}"
        )
        if self.error_code == PermissionDeniedError.code:
            return PermissionDeniedError(text)
        return UnavailableError(text)


class ProviderHealth:
    """The shared memory of failures; the database's clock counts.

    Args:
        connect: opens a connection; each call uses its own and closes it.

    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect

    def failed(self, provider: str, error: ProviderError) -> None:
        """Count a failure.

        Three retryable ones in a row, or one refused key, start a cool-down of 5 minutes. A rate
        limit is waited out and is no failure; any other refusal is an answer of a healthy provider.

        Raises:
            StorageError: the database cannot be reached.

        """
        if isinstance(error, RateLimitedError):
            return
        at_once = isinstance(error, PermissionDeniedError)
        if not at_once and not isinstance(error, RetryableError):
            self.answered(provider)
            return
        self._run(
            _FAILED,
            {
                "provider": provider,
                "at_once": at_once,
                "limit": FAILURES,
                "seconds": COOL_DOWN_S,
                "reason": " ".join(str(error).split())[:_REASON_LENGTH],
                "code": error.code,
            },
        )

    def answered(self, provider: str) -> None:
        """Forget the failures: the provider has answered.

        Raises:
            StorageError: the database cannot be reached.

        """
        self._run(_ANSWERED, (provider,))

    def cooling(self, provider: str) -> CoolDown | None:
        """Return the cool-down under way, or None.

        Raises:
            StorageError: the database cannot be reached.

        """
        row = self._run(_COOLING, (provider,))
        return None if row is None else CoolDown(provider, *row)

    def _run(
        self, statement: str, arguments: dict[str, Any] | tuple[Any, ...]
    ) -> tuple[Any, ...] | None:
        try:
            with self._connect() as connection:
                cursor = connection.execute(statement, arguments)
                return cursor.fetchone() if cursor.description else None
        except psycopg.Error as error:
            raise StorageError(f"provider health: {type(error).__name__}: {error}") from error


class GuardedProvider:
    """A provider that is not asked while it cools down.

    Args:
        inner: the provider.
        health: the shared memory.
        probe: lets one request through a cool-down, without retries; its outcome ends or renews
            the cool-down.

    """

    def __init__(self, inner: BarProvider, health: ProviderHealth, *, probe: bool = False) -> None:
        self.name = inner.name
        self._inner = inner
        self._health = health
        self._probe = probe
        self._lock = threading.Lock()

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        """Return the provider's answer, or fail at once while it cools down.

        Raises:
            PermissionDeniedError: it cools down because it refused the key.
            UnavailableError: it cools down after failures.
            ProviderError: what the provider itself raised; its health knows it already.
            StorageError: the database cannot be reached.

        """
        cooling = self._health.cooling(self.name)
        if cooling is None:
            return self._fetch(symbol, first, last, priority)
        if not self._take_probe():
            raise cooling.error()
        with without_retries():
            return self._fetch(symbol, first, last, priority)

    def _fetch(self, symbol: str, first: date, last: date, priority: int) -> Answer:
        try:
            answer = self._inner.fetch(symbol, first, last, priority=priority)
        except ProviderError as error:
            self._health.failed(self.name, error)
            raise
        self._health.answered(self.name)
        return answer

    def _take_probe(self) -> bool:
        with self._lock:
            taken, self._probe = self._probe, False
            return taken
