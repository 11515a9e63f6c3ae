"""Who may ask, and how often: keys, tokens and the two providers' request limits.

Polygon: so many requests in any 60 seconds and per key; a refused request does not count (not
known of the real service). Tradier: so many in a clock minute and per token, told in headers that
a 401 lacks. Real time, not the market clock.

What belongs here: this. What does not: what is answered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from swiftbolt_assets.simulator import polygon_errors, tradier_errors

if TYPE_CHECKING:
    from swiftbolt_assets.simulator.config import SimulatorConfig
    from swiftbolt_assets.simulator.wire import Reply

_WINDOW = 60.0
_BEARER = "Bearer "
# Named in the headers where nothing is limited; the number that was recorded.
_UNLIMITED_ALLOWED = 200


def bearer(authorization: str) -> str:
    """Return the key of an `Authorization` header, or an empty text."""
    is_bearer = authorization.startswith(_BEARER)
    return authorization.removeprefix(_BEARER).strip() if is_bearer else ""


class PolygonGate:
    """Polygon's keys and its sliding window."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._sent: dict[str, deque[float]] = {}

    def refuse(self, key: str) -> Reply | None:
        """Count a request and return None, or return the 401 or 429 that refuses it."""
        if not key:
            return polygon_errors.NO_KEY
        if self._config.polygon_keys is not None and key not in self._config.polygon_keys:
            return polygon_errors.UNKNOWN_KEY
        allowed = self._config.polygon_requests_per_minute
        if not allowed:
            return None
        now = self._config.seconds()
        sent = self._sent.setdefault(key, deque())
        while sent and sent[0] <= now - _WINDOW:
            sent.popleft()
        if len(sent) < allowed:
            sent.append(now)
            return None
        if not self._config.polygon_retry_after:
            return polygon_errors.TOO_MANY
        wait = ceil(sent[0] + _WINDOW - now)
        return replace(polygon_errors.TOO_MANY, headers={"Retry-After": str(wait)})


class TradierGate:
    """Tradier's tokens and its clock minute."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._used: dict[str, tuple[int, int]] = {}

    def refuse(self, authorization: str, accept: str) -> Reply | None:
        """Count a request and return None, or return the 401 or quota fault that refuses it."""
        token = bearer(authorization)
        if not token:
            return tradier_errors.NO_TOKEN
        if self._config.tradier_tokens is not None and token not in self._config.tradier_tokens:
            return tradier_errors.unknown_token(accept)
        minute, used = self._minute(), self._count(token)
        allowed = self._config.tradier_allowed
        if allowed and used >= allowed:
            return tradier_errors.quota(accept, self._config.tradier_quota_status)
        self._used[token] = (minute, used + 1)
        return None

    def headers(self, authorization: str) -> dict[str, str]:
        """Return the headers that tell what is left; the end of the minute in milliseconds."""
        used = self._count(bearer(authorization))
        allowed = self._config.tradier_allowed or max(_UNLIMITED_ALLOWED, used)
        return {
            "X-Ratelimit-Allowed": str(allowed),
            "X-Ratelimit-Used": str(used),
            "X-Ratelimit-Available": str(allowed - used),
            "X-Ratelimit-Expiry": str((self._minute() + 1) * 60_000),
        }

    def _minute(self) -> int:
        return int(self._config.seconds() // 60)

    def _count(self, token: str) -> int:
        minute, used = self._used.get(token, (0, 0))
        return used if minute == self._minute() else 0
