"""Who watches which symbol, and telling them what the database announces.

One connection hears the database; however many people watch a symbol, its state is looked up once.
What belongs here: watchers and their topics. What does not: the stream over HTTP
(`routes/events.py`), hearing (`resources/queue/notifications.py`), what progress is
(`prospects.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from resources.bars.chart import AGGREGATED
from resources.queue.notifications import hear
from resources.queue.outlook import find_definition
from swiftbolt_assets.api.prospects import COMPLETE, Prospects, described
from swiftbolt_assets.api.replies import HttpError, encode, iso
from swiftbolt_assets.errors import StorageError, SwiftBoltError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from resources.postgres.callers import CallerPool
    from resources.postgres.database import Database
    from resources.queue.notifications import News

_LOG = logging.getLogger(__name__)
_MOST_WATCHERS = 1_000
#: Who reads too slowly is told to reload instead of being remembered without end.
_MOST_UNREAD = 200
_PAUSE_S = 0.25
#: A waiting symbol's outlook changes although nothing happens.
_LOOK_AGAIN_S = 10.0
_RETRY_S = (0.5, 10.0)


@dataclass(eq=False)
class Watcher:
    """One open stream."""

    unread: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(_MOST_UNREAD))

    def tell(self, event: bytes) -> None:
        """Hand an event over; one who reads too slowly loses all and is told to reload."""
        try:
            self.unread.put_nowait(event)
        except asyncio.QueueFull:
            while not self.unread.empty():
                self.unread.get_nowait()
            self.unread.put_nowait(sse("resync", {"reason": "too slow"}))


@dataclass(eq=False)
class Topic:
    """A symbol and timeframe that somebody watches."""

    symbol: str
    timeframe: str
    watchers: set[Watcher] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    start: datetime | None = None
    until: datetime | None = None
    task: asyncio.Task[None] | None = None

    def note(self, news: News) -> None:
        """Remember what changed until it is told."""
        if news.start is not None and news.end is not None:
            self.start = min(self.start or news.start, news.start)
            self.until = max(self.until or news.end, news.end)
        self.changed.set()

    def tell(self, event: bytes) -> None:
        """Tell all who watch."""
        for watcher in self.watchers:
            watcher.tell(event)

    def end(self) -> None:
        """End all streams of this topic."""
        for watcher in self.watchers:
            while not watcher.unread.empty():
                watcher.unread.get_nowait()
            watcher.unread.put_nowait(None)


class Newsroom:
    """Tells watchers what the database announces.

    Args:
        database: where news is heard.
        pool: looks up what it means.
        prospects: tells when a symbol will be complete.

    """

    def __init__(self, database: Database, pool: CallerPool, prospects: Prospects) -> None:
        self._database = database
        self._pool = pool
        self._prospects = prospects
        self._topics: dict[tuple[str, str], Topic] = {}

    @property
    def is_full(self) -> bool:
        """Return whether as many streams are open as may be."""
        return self.watchers >= _MOST_WATCHERS

    @property
    def watchers(self) -> int:
        """Return how many streams are open."""
        return sum(len(topic.watchers) for topic in self._topics.values())

    async def run(self) -> None:
        """Hear and tell until cancelled; a lost connection is made anew."""
        pause = _RETRY_S[0]
        while True:
            try:
                async for news in hear(self._database):
                    if news is None:
                        pause = _RETRY_S[0]
                        self._resync()
                    else:
                        self._note(news)
            except StorageError as error:
                _LOG.warning("events: %s; listening again in %.1f s", error, pause)
            except Exception:  # noqa: BLE001 - an ear that stays deaf would leave all charts still
                _LOG.exception("events: listening again in %.1f s", pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_S[1])

    @contextlib.asynccontextmanager
    async def watching(self, symbol: str, timeframe: str) -> AsyncIterator[Watcher]:
        """Hold a watcher of a symbol's timeframe.

        Raises:
            HttpError: 503, too many watch already.

        """
        if self.is_full:
            raise HttpError(503, "too many streams are open; try again later", retry_after=30)
        topic = self._topics.setdefault((symbol, timeframe), Topic(symbol, timeframe))
        watcher = Watcher()
        topic.watchers.add(watcher)
        topic.changed.set()
        if topic.task is None:
            topic.task = asyncio.create_task(self._serve(topic))
            topic.task.add_done_callback(partial(_ended, topic))
        try:
            yield watcher
        finally:
            topic.watchers.discard(watcher)
            if not topic.watchers and topic.task is not None:
                topic.task.cancel()
                self._topics.pop((symbol, timeframe), None)

    def close(self) -> None:
        """End all streams."""
        for topic in self._topics.values():
            topic.end()

    def _note(self, news: News) -> None:
        for topic in self._topics.values():
            if topic.symbol == news.symbol:
                topic.note(news)

    def _resync(self) -> None:
        for topic in self._topics.values():
            topic.tell(sse("resync", {"reason": "connected"}))
            topic.changed.set()

    async def _serve(self, topic: Topic) -> None:
        """Tell a topic's changes, a few times a second at most."""
        is_open = True
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(topic.changed.wait(), _LOOK_AGAIN_S if is_open else None)
            topic.changed.clear()
            start, until, topic.start, topic.until = topic.start, topic.until, None, None
            if start is not None:
                told = {"symbol": topic.symbol, "timeframe": topic.timeframe}
                topic.tell(sse("bars", {**told, "from": iso(start), "to": iso(until)}))
            try:
                body = await run_in_threadpool(self._progress, topic)
            except SwiftBoltError as error:
                _LOG.warning("events: %s", error)
                body = None
            if body:
                topic.tell(sse("progress", body))
                is_open = body["status"] != COMPLETE
            await asyncio.sleep(_PAUSE_S)

    def _progress(self, topic: Topic) -> dict[str, Any] | None:
        stored = "m15" if topic.timeframe in AGGREGATED else topic.timeframe
        with self._pool.transaction() as connection:
            definition = find_definition(connection, topic.symbol, stored)
            body = (
                described(connection, definition, topic.symbol, topic.timeframe)
                if definition
                else None
            )
        return body | self._prospects.of(body) if body else None


def sse(event: str, data: dict[str, Any]) -> bytes:
    """Return one event as it goes over the wire."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), encode(data))


def _ended(topic: Topic, task: asyncio.Task[None]) -> None:
    """End a topic's streams when nobody serves it any more: those who watch come again."""
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("events: %s", topic.symbol, exc_info=task.exception())
        topic.end()
