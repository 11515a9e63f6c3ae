"""What all routes share: settings, connections, and who hears news.

What belongs here: the record and how a route reaches it. What does not: making it (`app.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swiftbolt_assets.api.keys import LOOPBACK_HOSTS

if TYPE_CHECKING:
    from fastapi import Request

    from resources.bars.calendar import CalendarInForce
    from resources.postgres.callers import CallerPool
    from resources.postgres.database import Database
    from swiftbolt_assets.api.broadcast import Newsroom
    from swiftbolt_assets.api.checkup import Checkup
    from swiftbolt_assets.api.keys import ApiKeys
    from swiftbolt_assets.api.prospects import Prospects
    from swiftbolt_assets.api.quote_desk import QuoteDesk
    from swiftbolt_assets.settings import Settings

_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True)
class ApiState:
    """What a running API works with.

    Attributes:
        settings: the settings.
        database: where the bars live.
        pool: its connections.
        keys: what callers show.
        newsroom: tells who watches.
        prospects: tells when a symbol will be complete.
        quote_desk: answers what prices are now.
        checkup: looks at how the parts are.
        calendar: the exchange's sessions, with what was announced lately.
        is_local: whether it listens on loopback only.

    """

    settings: Settings
    database: Database
    pool: CallerPool
    keys: ApiKeys
    newsroom: Newsroom
    prospects: Prospects
    quote_desk: QuoteDesk
    checkup: Checkup
    calendar: CalendarInForce
    is_local: bool


def is_from_here(request: Request) -> bool:
    """Return whether a person at this machine asks, as far as a request can show it.

    The server listens on loopback, was called by a loopback name, and no proxy stands between. No
    browser speaks HTTP/1.0; nginx does to what is behind it, and tells of itself only when told to.
    """
    return (
        state_of(request).is_local
        and request.url.hostname in LOOPBACK_HOSTS
        and request.scope["http_version"] != "1.0"
        and not any(name in request.headers for name in _PROXY_HEADERS)
    )


def state_of(request: Request) -> ApiState:
    """Return the running API's state."""
    state: ApiState = request.app.state.api
    return state
