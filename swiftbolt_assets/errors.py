"""The exceptions of the platform, and which of them are worth another try.

::

    SwiftBoltError                what a command prints as one line
    ├── UsageError                wrong input; names the field; exit code 2
    ├── ConfigurationError        a setting is wrong; names the variable; exit code 2
    ├── StorageError              the database refused or is unreachable
    │   └── ReadOnlyError             it lets nobody write
    ├── RefusedError              the caller may not do that
    └── ProviderError             a market-data provider did not answer as asked
        ├── RetryableError        the same request may succeed in a moment
        │   ├── UnavailableError      5xx, dropped connection, time-out
        │   └── MalformedReplyError   2xx whose body cannot be trusted (HTML, cut JSON, wrong echo)
        ├── RateLimitedError      429 or a quota fault: wait, it is not a failure
        │   └── BudgetClosedError     nothing was sent: the wait is too long to sit out
        ├── LeftAloneError        nothing was sent: the provider, or this symbol, cools down
        └── PermanentError        the same request will fail again
            ├── PermissionDeniedError   the key lacks the endpoint, or this symbol
            │   └── KeyRefusedError         the key itself is wrong
            ├── NotYetAvailableError    the plan serves this day only after its end
            ├── BeyondPlanError         the plan does not reach that far back
            └── BadRequestError         the provider refuses the request itself

What belongs here: the tree, its predicates, and how one is told in a line. What does not: how a
status and a body map to an error (`resources/providers/http.py`) and how often one tries again
(there too).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import date


class SwiftBoltError(Exception):
    """Base of all errors that a command phrases as one line."""

    exit_code: ClassVar[int] = 1


class UsageError(SwiftBoltError):
    """Wrong input; the message names the field and says what to do."""

    exit_code: ClassVar[int] = 2


class ConfigurationError(SwiftBoltError):
    """A setting is wrong; the message names the environment variable."""

    exit_code: ClassVar[int] = 2


class StorageError(SwiftBoltError):
    """The database refused the work or cannot be reached."""


class ReadOnlyError(StorageError):
    """The database lets nobody write."""


class RefusedError(SwiftBoltError):
    """The caller may not do that."""


class ProviderError(SwiftBoltError):
    """A provider did not answer as asked.

    `code` is the word that `job_runs.error_code` keeps.
    """

    code: ClassVar[str] = "API_ERROR"


class RetryableError(ProviderError):
    """The same request may succeed in a moment."""


class UnavailableError(RetryableError):
    """5xx, a dropped connection or a time-out."""

    code: ClassVar[str] = "PROVIDER_UNAVAILABLE"


class MalformedReplyError(RetryableError):
    """A successful status with a body that cannot be trusted."""


class RateLimitedError(ProviderError):
    """The provider's own limiter refused.

    `retry_after` is in seconds; None where the provider did not say.
    """

    code: ClassVar[str] = "RATE_LIMIT_EXCEEDED"

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BudgetClosedError(RateLimitedError):
    """Nobody is served for longer than one waits."""


class LeftAloneError(ProviderError):
    """A provider is not asked for a while; `retry_after` is in seconds."""

    code: ClassVar[str] = "PROVIDER_UNAVAILABLE"

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(ProviderError):
    """The same request will fail again."""


class PermissionDeniedError(PermanentError):
    """The key lacks the endpoint, or this symbol."""

    code: ClassVar[str] = "PERMISSION_DENIED"


class KeyRefusedError(PermissionDeniedError):
    """The key is wrong or expired: no symbol would be answered."""


class NotYetAvailableError(PermanentError):
    """The plan serves this day only after it has ended."""

    code: ClassVar[str] = "PERMISSION_DENIED"


class BeyondPlanError(PermanentError):
    """The plan does not reach that far back.

    `reach` is the first date that it serves, as far as that is proven; None where nothing is.
    """

    code: ClassVar[str] = "PERMISSION_DENIED"

    def __init__(self, message: str, reach: date | None = None) -> None:
        super().__init__(message)
        self.reach = reach


class BadRequestError(PermanentError):
    """The provider refuses the request itself."""

    code: ClassVar[str] = "INVALID_SYMBOL"


def one_line(words: object, most: int) -> str:
    """Return words on one line, so many characters at most."""
    return " ".join(str(words).split())[:most]


def is_refusal(error: BaseException) -> bool:
    """Return whether the provider refused what was asked: this symbol, or these days of it."""
    return isinstance(error, BadRequestError | PermissionDeniedError) and not isinstance(
        error, KeyRefusedError
    )


def wait_told(error: BaseException) -> float | None:
    """Return how many seconds are to pass before the next request, None where nobody knows."""
    return error.retry_after if isinstance(error, RateLimitedError | LeftAloneError) else None
