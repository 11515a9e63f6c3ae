"""Progress and new bars as they come: `events`, a stream of server-sent events.

What belongs here: the stream over HTTP. What does not: who watches what (`api/broadcast.py`), what
progress is (`api/prospects.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.broadcast import Newsroom
from swiftbolt_assets.api.fields import required_symbol, required_timeframe
from swiftbolt_assets.api.replies import HttpError
from swiftbolt_assets.api.state import state_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


router = APIRouter()
_KEEP_ALIVE_S = 15.0


@router.get(
    "/events",
    summary="Progress and new bars of a symbol, as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    request: Request,
    _caller: AnyCaller,
    symbol: Annotated[str | None, Query()] = None,
    timeframe: Annotated[str, Query()] = "m15",
) -> Response:
    """Stream `progress`, `bars` and `resync` until either side leaves."""
    if not symbol:
        raise HttpError(400, "Symbol is required")
    ticker, token = required_symbol(symbol), required_timeframe(timeframe)
    newsroom = state_of(request).newsroom
    if newsroom.is_full:
        raise HttpError(503, "too many streams are open; try again later", retry_after=30)
    return StreamingResponse(
        _stream(newsroom, ticker, token),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(newsroom: Newsroom, symbol: str, timeframe: str) -> AsyncIterator[bytes]:
    async with newsroom.watching(symbol, timeframe) as watcher:
        yield b": welcome\n\n"
        while True:
            try:
                event = await asyncio.wait_for(watcher.unread.get(), _KEEP_ALIVE_S)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if event is None:
                return
            yield event
