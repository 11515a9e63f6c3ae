"""The progress bar of a fill: bars, requests, and the time that the request budget still needs.

It polls the ledger, so it shows the same whoever fills: this process, the platform, or a run that
somebody else launched. On a terminal it draws a bar on one line, narrow enough for 80 columns;
elsewhere it prints a line every tenth.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column

from resources.queue.progress import progress
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.request_windows import Density, requests_expected, seconds_left

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date
    from types import TracebackType
    from uuid import UUID

    from rich.progress import TaskID

    from resources.postgres.database import Database
    from resources.providers.rate_limit import LimiterState
    from resources.queue.progress import Mark, Progress

_POLL_S = 0.5
_TENTHS = 10
_LEAST_BAR = 8
#: What a request and its storing take, until some were seen.
_FIRST_GUESS_S = 2.0


class FillProgress:
    """Shows a fill while it runs, from a thread of its own; a context manager.

    Attributes:
        first_bar_s: seconds until the first new bar was seen, None before.

    """

    def __init__(
        self,
        database: Database,
        symbols: Mapping[str, UUID],
        days: Sequence[date],
        past: int,
        since: Mark,
        budget: Callable[[], LimiterState],
        news: Callable[[], str | None] | None = None,
    ) -> None:
        self.first_bar_s: float | None = None
        self._read = partial(progress, database, symbols, days, past, since)
        self._budget = budget
        self._news = news
        first, *more = symbols
        self._title = f"{first} +{len(more)}" if more else first
        self._started = time.monotonic()
        self._first_request: float | None = None
        self._first = self._read()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._console = Console(stderr=True)
        self._shown_tenth = -1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        if not self._console.is_terminal:
            self._loop(self._print_line)
            return
        one_line = Column(no_wrap=True, overflow="ellipsis")
        columns = (
            TextColumn("{task.description}", table_column=one_line, markup=False),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=_LEAST_BAR)),
            TextColumn("{task.fields[facts]}", table_column=one_line, markup=False),
        )
        with Bar(*columns, console=self._console, expand=True) as bar:
            task = bar.add_task(self._title, total=max(self._first.sessions, 1), facts="")
            self._loop(lambda now: self._draw(bar, task, now))

    def _loop(self, show: Callable[[Progress], None]) -> None:
        is_away = False
        pause = 0.0
        while True:
            last = self._done.wait(pause)
            pause = _POLL_S
            try:
                self._show_now(show)
                is_away = False
                if self._news and not last and (line := self._news()):
                    self._say(line)
            except StorageError as error:
                # It may be starting again; the fill itself reports it if it stays away.
                if not is_away:
                    self._say(f"waiting for the database ({error})")
                is_away = True
            if last:
                return

    def _show_now(self, show: Callable[[Progress], None]) -> None:
        now = self._read()
        if self.first_bar_s is None and sum(now.bars.values()) > sum(self._first.bars.values()):
            self.first_bar_s = time.monotonic() - self._started
        if self._first_request is None and now.requests:
            self._first_request = time.monotonic()
        show(now)

    def _draw(self, bar: Bar, task: TaskID, now: Progress) -> None:
        bar.update(task, completed=now.final, facts=f"{_percent(now)} % · {self._facts(now)}")

    def _print_line(self, now: Progress) -> None:
        tenth = _percent(now) // _TENTHS
        if tenth > self._shown_tenth:
            self._shown_tenth = tenth
            self._say(f"{self._title}: {_percent(now)} % · {self._facts(now)}")

    def _say(self, line: str) -> None:
        """Print one line as it is, however wide the terminal."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _facts(self, now: Progress) -> str:
        requests = f"{now.requests} request{'' if now.requests == 1 else 's'}"
        facts = f"{now.bars[Timeframe.M15]:,} bars · {requests}"
        return facts if now.complete else f"{facts} · {_duration(self._left(now))} left"

    def _left(self, now: Progress) -> float:
        """Return the seconds that the rest takes: what the budget allows, at the pace so far."""
        state = self._budget()
        density = Density().seen(now.base_minutes, max(1, now.final - self._first.final))
        each = _FIRST_GUESS_S
        if now.requests and self._first_request is not None:
            # The first was under way when it was first seen.
            each = (time.monotonic() - self._first_request + 1.0) / now.requests
        return seconds_left(
            requests_expected(now.sessions - now.final, density),
            per_minute=state.per_window,
            free=state.free,
            next_free_s=state.next_free_s,
            seconds_a_request=each,
        )


def _percent(now: Progress) -> int:
    """Return whole percents, 100 only when all is done."""
    return now.final * 100 // now.sessions if now.sessions else 100


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
