"""A provider as an installation reaches it: who opens one, opens it here, whoever it is.

What belongs here: from a record, settings and a storage to a client with all that stands around
it, for assets, commands and the API alike. What does not: what a provider can do (its folder), what
each wrapper does (its module), how Dagster hands one to assets (`dagster.py`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from resources.bars.contradictions import ConsistentProvider
from resources.bars.ledger import Ledger
from resources.providers.believing import believed
from resources.providers.capabilities import Role
from resources.providers.endpoint import Secret
from resources.providers.health import GuardedProvider, ProviderHealth
from resources.providers.http import Transport
from resources.providers.plan_reach import ReachingProvider
from resources.providers.rate_limit import limiter
from resources.queue.announcing import AnnouncedProvider
from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.postgres.database import Database
    from resources.providers.capabilities import Capabilities
    from resources.providers.contract import BarProvider, QuoteProvider
    from resources.providers.http import Bounds
    from resources.providers.lists import SplitList, TickerPages
    from resources.providers.rate_limit import Limiter, LimiterState
    from resources.storage import Storage
    from swiftbolt_assets.settings import Access, Settings

#: What the simulator accepts as a key: it is not a secret.
SIMULATOR_KEY = "simulated"
#: Part of a budget that must be free for requests that can wait.
_SPARE = 0.5
_WITHOUT = {
    Role.HISTORY: "history is off; set it to fetch past sessions",
    Role.TODAY: "today's bars are off; set it to refresh them",
}


def guarded(
    provider: Capabilities,
    transport: Transport,
    storage: Storage,
    *,
    probe: bool = False,
    single: bool = False,
) -> BarProvider:
    """Return a provider's client of bars, and around it what its role asks for.

    Args:
        provider: its record.
        transport: to it.
        storage: what it is held against, and where its health is kept.
        probe: lets one request through a cool-down.
        single: retries no request.

    """
    client: BarProvider = resolve_name(provider.bars)(transport)
    health = ProviderHealth(storage.database.transaction)
    if provider.role is Role.TODAY:
        return GuardedProvider(client, health, probe=probe, single=single)
    reaching = ReachingProvider(client, storage.database.transaction)
    # Inside the guard: a slice has begun when the provider is asked, not when it cools down.
    consistent = ConsistentProvider(reaching, storage.ledger, storage.symbol)
    announced = AnnouncedProvider(consistent, storage.work)
    return GuardedProvider(announced, health, probe=probe, single=single, judge=believed)


def missing_key(provider: Capabilities) -> ConfigurationError:
    """Return the error of asking a provider where only others have a key."""
    first, *others = provider.key_variables
    unset = "".join(f", and {name}, its other name" for name in others)
    return ConfigurationError(f"{first}: it is unset{unset}, so {_WITHOUT[provider.role]}")


@dataclass(frozen=True)
class Source:
    """A provider that can be opened.

    Attributes:
        provider: its record.
        access: key, address and budget.
        is_simulated: whether no provider has a key: the simulator takes any.
        simulator: returns the address of a simulator where none is named; None for the provider's.

    """

    provider: Capabilities
    access: Access
    is_simulated: bool
    simulator: Callable[[], str] | None = None

    @classmethod
    def of(
        cls, provider: Capabilities, settings: Settings, simulator: Callable[[], str] | None = None
    ) -> Source:
        """Return a provider as settings have it."""
        return cls(provider, settings.providers[provider.name], settings.simulated, simulator)

    @property
    def is_off(self) -> bool:
        """Return whether only other providers have a key."""
        return self.access.key is None and not self.is_simulated

    def open(self, storage: Storage, *, probe: bool = False, single: bool = False) -> BarProvider:
        """Return the client of bars; `probe` and `single` as `guarded` has them.

        Raises:
            ConfigurationError: only other providers have a key.

        """
        transport = self._opened(storage)
        return guarded(self.provider, transport, storage, probe=probe, single=single)

    def open_spare(self, storage: Storage) -> BarProvider | None:
        """Return the client for what can wait; None when it is off or its budget is wanted.

        Raises:
            StorageError: the database does not answer.

        """
        connect = storage.database.connect
        if self.is_off or ProviderHealth(connect).rests(self.provider.name):
            return None
        if self.access.per_minute:
            state = self._state(storage)
            if state.waiting or state.free < _SPARE * state.per_window:
                return None
        return self.open(storage)

    def open_splits(self, storage: Storage) -> SplitList:
        """Return the client of the list of splits; what it meets is not held against bars.

        Raises:
            ConfigurationError: only other providers have a key.

        """
        client: SplitList = resolve_name(str(self.provider.splits))(self._opened(storage))
        return client

    def open_tickers(self, storage: Storage) -> TickerPages:
        """Return the client of the list of tickers; what it meets is not held against bars.

        Raises:
            ConfigurationError: only other providers have a key.

        """
        client: TickerPages = resolve_name(str(self.provider.tickers))(self._opened(storage))
        return client

    def quotes(self, transport: Transport) -> QuoteProvider:
        """Return the client of prices now."""
        client: QuoteProvider = resolve_name(str(self.provider.quotes))(transport)
        return client

    def budget(self, storage: Storage) -> int | None:
        """Return the requests a minute, as replies named them last; None without a limit.

        Raises:
            StorageError: the database does not answer.

        """
        return self._state(storage).per_window or None

    def is_idle(self, storage: Storage) -> bool:
        """Return whether nobody has sent a request in this minute, nor waits to send one.

        Raises:
            StorageError: the database does not answer.

        """
        state = self._state(storage)
        return not self.access.per_minute or (not state.waiting and state.free == state.per_window)

    def free_slots(self, storage: Storage) -> int | None:
        """Return how many requests could be sent at once, None without a limit."""
        return self._state(storage).free if self.access.per_minute else None

    def transport(self, database: Database, bounds: Bounds | None = None) -> Transport:
        """Return the way to it, within the budget as it stands; whoever asks closes both.

        Raises:
            ConfigurationError: only other providers have a key.

        """
        if self.is_off:
            raise missing_key(self.provider)
        return Transport(
            self._address(),
            name=self.provider.name,
            key=Secret(self.access.key or SIMULATOR_KEY, self.provider.key_variable),
            limiter=self._limiter(database),
            record=Ledger(database).record_request,
            bounds=bounds,
        )

    def _opened(self, storage: Storage) -> Transport:
        """Return the way to it; the budget becomes the setting's, and the storage closes both."""
        transport = self.transport(storage.database)
        budget = transport.limiter
        if self.provider.learns_budget:
            # Replies name the budget, and the setting is where it begins.
            budget.begin(self.access.per_minute)
        else:
            budget.configure(self.access.per_minute)
        storage.providers.callback(transport.close)
        storage.providers.callback(budget.close)
        return transport

    def _address(self) -> str:
        if self.access.url is None and self.simulator is not None and self.is_simulated:
            return self.simulator()
        return self.access.url or self.provider.url

    def _limiter(self, database: Database) -> Limiter:
        return limiter(database.connect, self.provider.name, self.access.per_minute)

    def _state(self, storage: Storage) -> LimiterState:
        """Return the budget as a newcomer would find it."""
        with closing(self._limiter(storage.database)) as budget:
            return budget.state()
