"""The API's composition root: routes, protection, and what lives as long as the server.

What belongs here: putting together. What does not: listening (`server.py`), the routes' work.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from resources.bars.calendar import CalendarInForce
from resources.postgres.callers import CallerPool
from resources.providers.jwks import PublicKeys
from swiftbolt_assets.api import supabase
from swiftbolt_assets.api.auth import Gate, TokenRules
from swiftbolt_assets.api.broadcast import Newsroom
from swiftbolt_assets.api.checkup import Checkup
from swiftbolt_assets.api.description import EVERYWHERE, describe, problems
from swiftbolt_assets.api.keys import LOOPBACK_HOSTS
from swiftbolt_assets.api.prospects import Prospects
from swiftbolt_assets.api.protection import (
    Bounds,
    Compressed,
    CrossOrigin,
    KnownHosts,
    Measured,
    Negotiated,
    Options,
    SecurityHeaders,
)
from swiftbolt_assets.api.quote_desk import QuoteDesk
from swiftbolt_assets.api.replies import install_handlers
from swiftbolt_assets.api.routes import (
    charts,
    coverage,
    events,
    flat_charts,
    interest,
    markets,
    pages,
    quotes,
    refreshing,
    root,
    symbols,
    vitals,
    work,
)
from swiftbolt_assets.api.state import ApiState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from resources.postgres.database import Database
    from swiftbolt_assets.api.keys import ApiKeys
    from swiftbolt_assets.settings import Settings

PREFIX = "/functions/v1"
_FUNCTIONS = tuple(
    module.router
    for module in (
        coverage,
        interest,
        charts,
        flat_charts,
        refreshing,
        symbols,
        quotes,
        markets,
        work,
        events,
    )
)


def build_app(settings: Settings, database: Database, keys: ApiKeys, host: str) -> FastAPI:
    """Return the API on a database that runs.

    Args:
        settings: the settings.
        database: where the bars live.
        keys: what callers show.
        host: what it listens on.

    """
    app = FastAPI(
        title="SwiftBolt",
        version=version("swiftbolt"),
        description="Stock bars of 15 minutes, 1 and 4 hours, complete; and how far they are.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    pool = CallerPool(database)
    calendar = CalendarInForce(database)
    prospects = Prospects(pool, settings.history.per_minute)
    app.state.api = ApiState(
        settings=settings,
        database=database,
        pool=pool,
        keys=keys,
        newsroom=Newsroom(database, pool, prospects),
        prospects=prospects,
        quote_desk=QuoteDesk(settings, database),
        checkup=Checkup(pool),
        calendar=calendar,
        is_local=host in LOOPBACK_HOSTS,
    )
    public_keys = PublicKeys(settings.jwks_url).of_token if settings.jwks_url else None
    rules = TokenRules(settings.jwt_issuer, settings.jwt_audience)
    app.state.gate = Gate(keys, settings.anon_user, public_keys, rules)
    app.state.meters = vitals.Meters()
    for router in _FUNCTIONS:
        app.include_router(
            router, prefix=PREFIX, tags=["functions"], responses=problems(*EVERYWHERE)
        )
    app.include_router(vitals.router)
    app.include_router(root.router)
    app.include_router(pages.router)
    app.include_router(supabase.router)
    install_handlers(app)
    reading = supabase.reading_paths(_FUNCTIONS, PREFIX)
    app.openapi = partial(describe, app, PREFIX, reading)  # type: ignore[method-assign]
    app.add_middleware(supabase.AskedByPost, paths=reading)
    _protect(app, settings, host)
    return app


def _protect(app: FastAPI, settings: Settings, host: str) -> None:
    """Put the layers around the routes; the last one added is the outermost."""
    app.add_middleware(Compressed)
    app.add_middleware(Bounds)
    app.add_middleware(Measured, meters=app.state.meters, prefix=PREFIX)
    app.add_middleware(Options, prefix=PREFIX)
    if settings.cors_origins:
        app.add_middleware(
            CrossOrigin,
            folders=(PREFIX, supabase.TABLES),
            paths=("/quotes",),
            origins=settings.cors_origins,
        )
    named = {urlsplit(origin).hostname for origin in settings.cors_origins}
    hosts = {*LOOPBACK_HOSTS, *filter(None, named)}
    app.add_middleware(KnownHosts, hosts=hosts if host in LOOPBACK_HOSTS else ())
    app.add_middleware(Negotiated, paths=root.NEGOTIATED)
    app.add_middleware(SecurityHeaders)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: ApiState = app.state.api
    await run_in_threadpool(state.checkup.look)
    tasks = [asyncio.create_task(one.run()) for one in (state.newsroom, state.checkup)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        state.quote_desk.close()
        state.pool.close()
