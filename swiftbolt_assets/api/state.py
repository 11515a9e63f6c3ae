"""What all routes share: settings, connections, and who hears news.

What belongs here: the record and how a route reaches it. What does not: making it (`app.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request

    from resources.callers import CallerPool
    from resources.postgres import Database
    from swiftbolt_assets.api.keys import ApiKeys
    from swiftbolt_assets.api.news import Newsroom
    from swiftbolt_assets.api.quotes import QuoteDesk
    from swiftbolt_assets.settings import Settings


@dataclass(frozen=True)
class ApiState:
    """What a running API works with.

    Attributes:
        settings: the settings.
        database: where the bars live.
        pool: its connections.
        keys: what callers show.
        newsroom: tells who watches.
        quote_desk: answers what prices are now.
        is_local: whether it listens on loopback only.

    """

    settings: Settings
    database: Database
    pool: CallerPool
    keys: ApiKeys
    newsroom: Newsroom
    quote_desk: QuoteDesk
    is_local: bool


def state_of(request: Request) -> ApiState:
    """Return the running API's state."""
    state: ApiState = request.app.state.api
    return state
