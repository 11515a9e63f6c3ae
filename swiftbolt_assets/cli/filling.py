"""Filling from the command line: launch, watch, and say what came of it.

Shared by `backfill`, which launches, and `demo`, which lets the platform find its own work. What
launches is imported where something is launched: Dagster takes seconds, and a symbol that is
covered needs no run (`covered.py`).

What belongs here: one fill of some symbols and its summary. What does not: how a run is launched
(`orchestration/launching.py`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from resources.delisted import DelistedBook
from resources.progress import failures, is_pending, mark, progress, unbelieved
from resources.provider_health import ProviderHealth
from resources.rate_limit import PATIENT_S, closed_for, limiter
from resources.splits import SplitBook
from resources.symbols import ensure_symbols
from resources.tracking import track
from resources.wanted import Change, change_definitions
from resources.work import WorkQueue
from swiftbolt_assets.cli.covered import uncovered
from swiftbolt_assets.cli.progress import FillProgress
from swiftbolt_assets.cli.workers import LOOK_EVERY_S, WorkerNews
from swiftbolt_assets.errors import StorageError, SwiftBoltError
from swiftbolt_assets.market.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resources.postgres import Database
    from resources.progress import Mark, Progress
    from swiftbolt_assets.cli.arguments import Window
    from swiftbolt_assets.cli.installation import Installation
    from swiftbolt_assets.settings import Settings


#: The provider of past sessions.
_HISTORY = "polygon"
_POLL_S = 0.5
#: A database that was killed runs again within this time.
_PATIENCE_S = 90.0
#: So many refused symbols of one command, and it asks for no other while all are left alone.
_REFUSED = 10
_GOES_ON = "the platform goes on with what it has begun"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """What a person asked to be filled.

    Attributes:
        symbols: canonical tickers.
        window: which days.
        priority: of runs and requests.
        force: fetch again what is covered.

    """

    symbols: Sequence[str]
    window: Window
    priority: int
    force: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a fill.

    Attributes:
        wish: what was asked.
        progress: where it ended.
        seconds: how long it took.
        first_bar_s: seconds to the first new bar, None when none was new.
        errors: why symbols were not filled, one line each.
        simulated: whether the bars are made up.

    """

    wish: Wish
    progress: Progress
    seconds: float
    first_bar_s: float | None
    errors: Sequence[str]
    simulated: bool

    @property
    def complete(self) -> bool:
        """Return whether every session before today is settled and nothing failed."""
        return self.progress.complete and not self.errors

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        window, now = self.wish.window, self.progress
        return {
            "symbols": list(self.wish.symbols),
            "from": window.first.isoformat(),
            "to": window.last.isoformat(),
            "sessions": now.final,
            "sessions_wanted": now.sessions,
            "bars": {str(timeframe): count for timeframe, count in now.bars.items()},
            "requests": now.requests,
            "theoretical_minimum": now.minimum,
            "rejected_bars": now.rejected,
            "seconds": round(self.seconds, 3),
            "seconds_to_first_bar": self.first_bar_s and round(self.first_bar_s, 3),
            "state": "complete" if self.complete else "incomplete",
            "simulated": self.simulated,
            "errors": list(self.errors),
        }


def fill(installation: Installation, wish: Wish, *, on_platform: bool) -> Outcome:
    """Fill and wait, on the running platform or in this process; attempts start anew."""
    work = WorkQueue(installation.database)
    for symbol in wish.symbols:
        work.restart(symbol)
    DelistedBook(installation.database).ask(wish.symbols, wish.window.first)
    left = wish.symbols if wish.force else uncovered(installation, wish.symbols, wish.window)
    launch = partial(_launch, symbols=left, on_platform=on_platform)
    news = None
    if on_platform:
        database = installation.database
        news = WorkerNews(installation.settings, database, first_s=LOOK_EVERY_S).look
    outcome = _watched(installation, wish, launch, news=news)
    if not on_platform:
        _look_up_splits(installation.settings, installation.database, wish.symbols)
    return outcome


def _look_up_splits(settings: Settings, database: Database, symbols: Sequence[str]) -> None:
    """Ask for splits after the bars; bars that are there are there, whatever comes of it."""
    try:
        due = SplitBook(database).due(settings.clock.today())
    except SwiftBoltError as error:
        _LOG.warning("splits: %s", error)
        return
    if not any(one.symbol in {None, *symbols} for one in due):
        return

    from resources.dagster import PostgresResource
    from swiftbolt_assets.assets.checks import splits_again
    from swiftbolt_assets.assets.splits import look_up_without_waiting
    from swiftbolt_assets.definitions import polygon_resource
    from swiftbolt_assets.orchestration.instance import open_instance

    storage = PostgresResource().open()
    try:
        changed = look_up_without_waiting(storage, polygon_resource(settings), symbols)
        if changed:
            shards = Shards(settings.shards)
            with open_instance(settings) as instance:
                for evaluation in splits_again(SplitBook(storage.database), changed, shards):
                    instance.report_runless_asset_event(evaluation)
    except SwiftBoltError as error:
        _LOG.warning("splits: %s", error)
    finally:
        storage.close()


def fill_by_tracking(installation: Installation, wish: Wish, since: Mark) -> Outcome:
    """Track the symbols as a watchlist does, raise their windows, and wait for the platform.

    Args:
        installation: opened, its platform running.
        wish: the window is the widest that is raised to; its priority is the source's.
        since: counts of requests begin here; the platform may have begun a seeded symbol.

    """
    return _watched(installation, wish, _track_and_wait, since)


def _track_and_wait(installation: Installation, wish: Wish) -> list[str]:
    settings, database = installation.settings, installation.database
    track(database, settings.anon_user, wish.symbols, "watchlist")
    days = (settings.clock.today() - wish.window.first).days
    for symbol in wish.symbols:
        change_definitions(database, symbol, None, Change(window_days=days))
    return _wait_for_queue(installation, wish)


def _watched(
    installation: Installation,
    wish: Wish,
    work: Callable[[Installation, Wish], list[str]],
    since: Mark | None = None,
    *,
    news: Callable[[], str | None] | None = None,
) -> Outcome:
    """Show how far a wish is while `work` goes on, which returns what went wrong.

    Args:
        installation: opened.
        wish: what is filled.
        work: fills it.
        since: counts of requests begin here, None for now.
        news: returns a line to tell, None without.

    """
    settings, database = installation.settings, installation.database
    today = settings.clock.today()
    days = [session.day for session in wish.window.sessions]
    past = sum(day < today for day in days)
    symbols = ensure_symbols(database, wish.symbols)
    budget = limiter(database.connect, "polygon", settings.polygon_per_minute)
    budget.configure(settings.polygon_per_minute)
    since = since or mark(database)
    started = time.monotonic()
    with FillProgress(database, symbols, days, past, since, budget.state, news) as shown:
        errors = work(installation, wish)
    # Settled is not good.
    errors += unbelieved(database, symbols, days[:past])
    return Outcome(
        wish=wish,
        progress=progress(database, symbols, days, past, since),
        seconds=time.monotonic() - started,
        first_bar_s=shown.first_bar_s,
        errors=errors,
        simulated=settings.simulated,
    )


def _wait_for_queue(installation: Installation, wish: Wish) -> list[str]:
    database = installation.database
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if not is_pending(database, wish.symbols):
                return failures(database, wish.symbols)
            deadline = time.monotonic() + _PATIENCE_S
        except StorageError:
            # It may be starting again just now.
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _launch(
    installation: Installation, wish: Wish, *, symbols: Sequence[str], on_platform: bool
) -> list[str]:
    """Launch a run for each of some symbols of a wish, and wait; return what went wrong."""
    if not symbols:
        return []

    from swiftbolt_assets.definitions import FILL_BARS, build_definitions
    from swiftbolt_assets.orchestration.instance import prepare_dagster
    from swiftbolt_assets.orchestration.launching import RunSpec, run_here, run_on_platform

    settings = installation.settings
    prepare_dagster(settings, installation.database)
    health = ProviderHealth(installation.database.connect)
    definitions = None if on_platform else build_definitions(settings)
    shards = Shards(settings.shards)
    errors: list[str] = []
    # One probe a command: a wrong key costs one request, not one a symbol.
    probe = True
    for position, symbol in enumerate(symbols):
        spec = RunSpec(
            symbol=symbol,
            first=wish.window.sessions[0].day,
            last=wish.window.sessions[-1].day,
            priority=wish.priority,
            force=wish.force,
            probe=probe,
        )
        try:
            job = shards.of(symbol).job(FILL_BARS)
            if definitions is not None:
                run_here(settings, definitions.resolve_job_def(job), spec)
            else:
                run_on_platform(settings, job, spec)
            probe = False
        except SwiftBoltError as error:
            rest = len(symbols) - position - 1
            cooling = health.cooling(_HISTORY)
            # Whom the provider does not know says nothing of the next one.
            probe = cooling is not None and cooling.is_of_refusals and len(errors) < _REFUSED
            if rest and (
                (cooling is not None and cooling.is_for_all and not probe)
                or closed_for(installation.database.connect, _HISTORY) > PATIENT_S
            ):
                # Every other symbol would be refused alike.
                what = "symbol was" if rest == 1 else "symbols were"
                errors.append(f"{symbol}: {error}; {rest} more {what} not asked for")
                break
            errors.append(f"{symbol}: {error}")
        except KeyboardInterrupt:
            if on_platform:
                raise KeyboardInterrupt(_GOES_ON) from None
            raise
    return errors
