"""What a simulator is told: its seed, its clock, its plans and its keys.

What belongs here: one frozen record. What does not: faults, which are switched while it runs
(`faults.py`), and the command line that fills this in.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from swiftbolt_assets.simulator.listings import Split
    from swiftbolt_assets.simulator.unreliable import Unreliable

#: Where the simulator listens unless told otherwise; nothing binds wider.
LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8900


class Recency(StrEnum):
    """How fresh Polygon's bars are.

    `END_OF_DAY`: a day is served once the New York date has changed; before that, 403.
    `DELAYED`: minutes that ended 15 minutes ago. `REAL_TIME`: up to now, with a partial bar.
    """

    END_OF_DAY = "end_of_day"
    DELAYED = "delayed"
    REAL_TIME = "real_time"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class SimulatorConfig:
    """The settings of one simulator.

    Attributes:
        seed: of all prices; two simulators of one seed serve the same bytes but for request ids.
        now: the market clock, an aware instant; bars after it do not exist.
        seconds: real seconds since the epoch, for the request limits and the log.
        polygon_requests_per_minute: in any 60 s and per key; 0 = unlimited.
        polygon_retry_after: whether a 429 names the seconds to wait.
        polygon_recency: how fresh bars are.
        horizon_years: how far back the plan reaches; None = without limit.
        polygon_keys: the keys that exist; None = any that is not empty.
        tradier_tokens: the tokens that exist; None = any that is not empty.
        tradier_allowed: requests in a clock minute and per token; 0 = unlimited (200 is named).
        tradier_quota_status: of the quota fault, 429 or (older gateways) 500.
        extra_splits: by symbol, besides those of the table in `listings.py`.
        delistings: by symbol, the first day without it.
        listing_errors: by symbol, how its splits are listed wrongly (`listing_errors.py`).
        latency_seconds: added to every provider reply.
        unreliable: what Polygon delivers late, wrong or not at all, from the start on.

    """

    seed: int = 1
    now: Callable[[], datetime] = _utc_now
    seconds: Callable[[], float] = time.time
    polygon_requests_per_minute: int = 0
    polygon_retry_after: bool = False
    polygon_recency: Recency = Recency.END_OF_DAY
    horizon_years: int | None = None
    polygon_keys: frozenset[str] | None = field(default=None, repr=False)
    tradier_tokens: frozenset[str] | None = field(default=None, repr=False)
    tradier_allowed: int = 120
    tradier_quota_status: int = 429
    extra_splits: Mapping[str, tuple[Split, ...]] = field(default_factory=dict)
    delistings: Mapping[str, date] = field(default_factory=dict)
    listing_errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    latency_seconds: float = 0.0
    unreliable: Unreliable | None = None

    def __post_init__(self) -> None:
        """Refuse what would fail later.

        Raises:
            ConfigurationError: a count is negative or the clock is not aware of its zone.

        """
        for name in ("polygon_requests_per_minute", "tradier_allowed", "latency_seconds"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name}: it is negative; give 0 or more")
        if self.now().tzinfo is None:
            raise ConfigurationError("now: it has no time zone; return an aware instant")
