"""Dagster's face of the outside world: typed configuration in, plain objects out.

What belongs here: `ConfigurableResource`s and nothing else of Dagster. Credentials are not
configuration (Dagster shows and stores that): they are read from the environment when a resource
is opened. What does not: what the objects do (`storage.py`, `sources.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import dagster as dg

from resources.providers.registry import HISTORY, TODAY
from resources.sources import Source
from resources.storage import Storage, open_database, open_storage
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from resources.providers.capabilities import Capabilities

#: Keys of the resources that a run works with; a provider's is its name.
POSTGRES = "postgres"


class PostgresResource(dg.ConfigurableResource[Storage]):
    """The bars' Postgres: `SWIFTBOLT_DATABASE_URL`, or the embedded server."""

    def open(self) -> Storage:
        """Return the storage; connections are made when they are first needed."""
        settings = read_settings()
        return open_storage(open_database(settings), settings.clock)


class SourceResource(dg.ConfigurableResource[None]):
    """A provider.

    Attributes:
        base_url: where it is reached; None for the provider's own address.
        requests_per_minute: the shared budget; 0 is unlimited.

    """

    provider: ClassVar[Capabilities]
    base_url: str | None
    requests_per_minute: int

    def source(self) -> Source:
        """Return what opens it, with the key of the environment."""
        source = Source.of(self.provider, read_settings())
        access = replace(source.access, url=self.base_url, per_minute=self.requests_per_minute)
        return replace(source, access=access)


class HistoryResource(SourceResource):
    """The provider of past sessions."""

    provider = HISTORY


class TodayResource(SourceResource):
    """The provider of today's bars."""

    provider = TODAY


def opened(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Storage:
    """Return a run's storage; connections are made when they are first needed."""
    postgres: PostgresResource = getattr(context.resources, POSTGRES)
    return postgres.open()


def source(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, provider: Capabilities
) -> Source:
    """Return a run's way to a provider."""
    resource: SourceResource = getattr(context.resources, provider.name)
    return resource.source()
