"""Dagster's face of the outside world: typed configuration in, plain objects out.

What belongs here: `ConfigurableResource`s and nothing else of Dagster. Credentials are not
configuration (Dagster shows and stores that): they are read from the environment when a resource
is opened. What does not: what the objects do (`bars.py`, `ledger.py`, `polygon.py`, `tradier.py`).
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from resources.announcing import AnnouncedProvider
from resources.bars import BarStore
from resources.believing import believed
from resources.calendar import load_calendar
from resources.embedded import locate
from resources.endpoint import Secret
from resources.http import Transport
from resources.ledger import Ledger
from resources.plan_reach import ReachingProvider
from resources.polygon import PolygonClient
from resources.polygon_splits import PolygonSplits
from resources.polygon_tickers import PolygonTickers
from resources.postgres import Database
from resources.provider_health import GuardedProvider, ProviderHealth
from resources.rate_limit import limiter
from resources.symbols import ensure_symbols
from resources.tradier import TradierClient
from resources.work import WorkQueue
from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.settings import POLYGON_URL, TRADIER_URL, read_settings

if TYPE_CHECKING:
    from uuid import UUID

    from resources.contract import BarProvider
    from resources.rate_limit import LimiterState
    from swiftbolt_assets.clock import Clock
    from swiftbolt_assets.market.sessions import Calendar
    from swiftbolt_assets.settings import Settings

#: What the simulator accepts as a key: it is not a secret.
SIMULATOR_KEY = "simulated"
#: Part of a budget that must be free for requests that can wait.
_SPARE = 0.5


@dataclass(frozen=True)
class Storage:
    """The opened storage of one run.

    Attributes:
        database: where the bars live.
        bars: writes and reads bars.
        ledger: knows what is settled.
        work: the queue of slices.
        clock: the market clock.
        providers: closes the connections to providers that were opened on it.

    """

    database: Database
    bars: BarStore
    ledger: Ledger
    work: WorkQueue
    clock: Clock
    providers: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def calendar(self) -> Calendar:
        """Return the calendar in force when it was first asked for: a run keeps it to its end."""
        return load_calendar(self.database)

    def symbol(self, ticker: str) -> UUID:
        """Return the id of a canonical ticker, adding it when it is missing."""
        return ensure_symbols(self.database, [ticker])[ticker]

    def close(self) -> None:
        """Close what was opened, the providers' connections included."""
        self.providers.close()
        self.bars.close()


def open_database(settings: Settings) -> Database:
    """Return the bars' database that the settings name; the server is not started."""
    url = settings.database_url or locate(settings.home).url("swiftbolt")
    return Database(url, settings.clock.offset)


def open_storage(database: Database, clock: Clock) -> Storage:
    """Return the storage on a database; connections are made when they are first needed."""
    return Storage(database, BarStore(database), Ledger(database), WorkQueue(database), clock)


class PostgresResource(dg.ConfigurableResource[Storage]):
    """The bars' Postgres: `SWIFTBOLT_DATABASE_URL`, or the embedded server."""

    def open(self) -> Storage:
        """Return the storage; connections are made when they are first needed."""
        settings = read_settings()
        return open_storage(open_database(settings), settings.clock)


def _transport(
    storage: Storage,
    *,
    name: str,
    base_url: str,
    key: Secret,
    per_minute: int,
    learns: bool = False,
) -> Transport:
    """Return a provider's transport within its budget; the storage closes both.

    `learns`: the provider's replies name the budget, and the setting is where it begins.
    """
    budget = limiter(storage.database.connect, name, per_minute)
    if learns:
        budget.begin(per_minute)
    else:
        budget.configure(per_minute)
    transport = Transport(
        base_url, name=name, key=key, limiter=budget, record=storage.ledger.record_request
    )
    storage.providers.callback(transport.close)
    storage.providers.callback(budget.close)
    return transport


def _budget(storage: Storage, name: str, per_minute: int) -> LimiterState:
    """Return a provider's budget as a newcomer would find it."""
    with closing(limiter(storage.database.connect, name, per_minute)) as budget:
        return budget.state()


class PolygonResource(dg.ConfigurableResource[None]):
    """History from Polygon.

    Attributes:
        base_url: where it is reached; None for the provider's own address.
        requests_per_minute: the shared budget; 0 is unlimited.

    """

    base_url: str | None
    requests_per_minute: int

    def open(self, storage: Storage, *, probe: bool = False, single: bool = False) -> BarProvider:
        """Return the client; `probe` lets one request through a cool-down, `single` retries none.

        Raises:
            ConfigurationError: only the other provider has a key.

        """
        transport = self._transport(storage)
        health = ProviderHealth(storage.database.connect)
        reaching = ReachingProvider(PolygonClient(transport), storage.database.connect)
        # Inside the guard: a slice has begun when the provider is asked, not when it cools down.
        announced = AnnouncedProvider(reaching, storage.work)
        return GuardedProvider(announced, health, probe=probe, single=single, judge=believed)

    def open_splits(self, storage: Storage) -> PolygonSplits:
        """Return the client of the list of splits; what it meets is not held against bars.

        Raises:
            ConfigurationError: only the other provider has a key.

        """
        return PolygonSplits(self._transport(storage))

    def open_tickers(self, storage: Storage) -> PolygonTickers:
        """Return the client of the list of tickers; what it meets is not held against bars.

        Raises:
            ConfigurationError: only the other provider has a key.

        """
        return PolygonTickers(self._transport(storage))

    def is_idle(self, storage: Storage) -> bool:
        """Return whether nobody has sent a request in this minute, nor waits to send one.

        Raises:
            StorageError: the database does not answer.

        """
        state = _budget(storage, "polygon", self.requests_per_minute)
        return not self.requests_per_minute or (
            not state.waiting and state.free == state.per_window
        )

    def free_slots(self, storage: Storage) -> int | None:
        """Return how many requests could be sent at once, None without a limit."""
        state = _budget(storage, "polygon", self.requests_per_minute)
        return state.free if self.requests_per_minute else None

    def is_off(self) -> bool:
        """Return whether only Tradier has a key: history is off then."""
        settings = read_settings()
        return settings.polygon_key is None and not settings.simulated

    def _transport(self, storage: Storage) -> Transport:
        if self.is_off():
            raise ConfigurationError(
                "POLYGON_API_KEY: it is unset, and MASSIVE_API_KEY, its other name, so history is "
                "off; set it to fetch past sessions"
            )
        return _transport(
            storage,
            name="polygon",
            base_url=self.base_url or POLYGON_URL,
            key=Secret(read_settings().polygon_key or SIMULATOR_KEY, "POLYGON_API_KEY"),
            per_minute=self.requests_per_minute,
        )


class TradierResource(dg.ConfigurableResource[None]):
    """Today's bars from Tradier.

    Attributes:
        base_url: where it is reached; None for the provider's own address.
        requests_per_minute: the shared budget; 0 is unlimited.

    """

    base_url: str | None
    requests_per_minute: int

    def is_off(self) -> bool:
        """Return whether only Polygon has a key: today is off then."""
        return not read_settings().has_live

    def budget(self, storage: Storage) -> int | None:
        """Return the requests a minute, as Tradier's last reply named them; None without a limit.

        Raises:
            StorageError: the database does not answer.

        """
        return _budget(storage, "tradier", self.requests_per_minute).per_window or None

    def open_spare(self, storage: Storage) -> BarProvider | None:
        """Return the client for what can wait; None when today is off or its budget is wanted.

        Raises:
            StorageError: the database does not answer.

        """
        if self.is_off() or ProviderHealth(storage.database.connect).rests("tradier"):
            return None
        if self.requests_per_minute:
            state = _budget(storage, "tradier", self.requests_per_minute)
            if state.waiting or state.free < _SPARE * state.per_window:
                return None
        return self.open(storage)

    def open(
        self, storage: Storage, *, probe: bool = False, single: bool = False
    ) -> BarProvider | None:
        """Return the client, or None when today is off; `single` retries no request."""
        settings = read_settings()
        if self.is_off():
            return None
        key = Secret(settings.tradier_token or SIMULATOR_KEY, "TRADIER_TOKEN")
        transport = _transport(
            storage,
            name="tradier",
            base_url=self.base_url or TRADIER_URL,
            key=key,
            per_minute=self.requests_per_minute,
            learns=True,
        )
        health = ProviderHealth(storage.database.connect)
        return GuardedProvider(TradierClient(transport), health, probe=probe, single=single)
