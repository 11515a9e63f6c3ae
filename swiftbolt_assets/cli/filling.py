"""Filling from the command line: launch, watch, and return what came of it.

Shared by `backfill`, which launches, and `demo`, which lets the platform find its own work. What
launches is imported where something is launched: Dagster takes seconds, and a symbol that is
covered needs no run (`covered.py`).

What belongs here: one fill of some symbols. What does not: how a run is launched
(`orchestration/launching.py`), what is told of a fill (`progress.py`, `outcome.py`).
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from resources.bars.delisted import DelistedBook
from resources.bars.splits import SplitBook
from resources.bars.symbols import ensure_symbols
from resources.providers.health import ProviderHealth
from resources.providers.rate_limit import PATIENT_S, closed_for, limiter
from resources.providers.registry import HISTORY
from resources.queue.definitions import Change, change_definitions
from resources.queue.progress import failures, is_pending, mark, progress, unbelieved
from resources.queue.slices import WorkQueue
from resources.queue.tracking import track
from swiftbolt_assets.cli.covered import uncovered
from swiftbolt_assets.cli.outcome import Outcome
from swiftbolt_assets.cli.progress import FillProgress
from swiftbolt_assets.cli.workers import LOOK_EVERY_S, WorkerNews
from swiftbolt_assets.errors import StorageError, SwiftBoltError
from swiftbolt_assets.policy.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resources.postgres.database import Database
    from resources.queue.progress import Mark
    from swiftbolt_assets.cli.installation import Installation
    from swiftbolt_assets.cli.outcome import Asked
    from swiftbolt_assets.settings import Settings


_POLL_S = 0.5
#: A database that was killed runs again within this time.
_PATIENCE_S = 90.0
#: So many refused symbols of one command, and it asks for no other while all are left alone.
_REFUSED = 10
_GOES_ON = "the platform goes on with what it has begun"

_LOG = logging.getLogger(__name__)


def fill(installation: Installation, asked: Asked, *, on_platform: bool) -> Outcome:
    """Fill and wait, on the running platform or in this process; attempts start anew."""
    work = WorkQueue(installation.database)
    for symbol in asked.symbols:
        work.restart(symbol)
    DelistedBook(installation.database).ask(asked.symbols, asked.window.first)
    left = asked.symbols if asked.force else uncovered(installation, asked.symbols, asked.window)
    launch = partial(_launch, symbols=left, on_platform=on_platform)
    news = None
    if on_platform:
        database = installation.database
        news = WorkerNews(installation.settings, database, first_s=LOOK_EVERY_S).look
    outcome = _watched(installation, asked, launch, news=news)
    if not on_platform:
        _look_up_splits(installation.settings, installation.database, asked.symbols)
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

    from resources.storage import open_storage
    from swiftbolt_assets.assets.checks.splits_explain_prices import splits_again
    from swiftbolt_assets.jobs.splits import look_up_without_waiting
    from swiftbolt_assets.orchestration.instance import open_instance
    from swiftbolt_assets.orchestration.simulated import source_of

    storage = open_storage(database, settings.clock)
    try:
        changed = look_up_without_waiting(storage, source_of(HISTORY, settings), symbols)
        if changed:
            shards = Shards(settings.shards)
            with open_instance(settings) as instance:
                for evaluation in splits_again(SplitBook(storage.database), changed, shards):
                    instance.report_runless_asset_event(evaluation)
    except SwiftBoltError as error:
        _LOG.warning("splits: %s", error)
    finally:
        storage.close()


def fill_by_tracking(installation: Installation, asked: Asked, since: Mark) -> Outcome:
    """Track the symbols as a watchlist does, raise their windows, and wait for the platform.

    Args:
        installation: opened, its platform running.
        asked: the window is the widest that is raised to; its priority is the source's.
        since: counts of requests begin here; the platform may have begun a seeded symbol.

    """
    return _watched(installation, asked, _track_and_wait, since)


def _track_and_wait(installation: Installation, asked: Asked) -> list[str]:
    settings, database = installation.settings, installation.database
    track(database, settings.anon_user, asked.symbols, "watchlist")
    days = (settings.clock.today() - asked.window.first).days
    for symbol in asked.symbols:
        change_definitions(database, symbol, None, Change(window_days=days))
    return _wait_for_queue(installation, asked)


def _watched(
    installation: Installation,
    asked: Asked,
    work: Callable[[Installation, Asked], list[str]],
    since: Mark | None = None,
    *,
    news: Callable[[], str | None] | None = None,
) -> Outcome:
    """Show how far it is while `work` goes on, which returns what went wrong.

    Args:
        installation: opened.
        asked: what is filled.
        work: fills it.
        since: counts of requests begin here, None for now.
        news: returns a line to tell, None without.

    """
    settings, database = installation.settings, installation.database
    today = settings.clock.today()
    days = [session.day for session in asked.window.sessions]
    past = sum(day < today for day in days)
    symbols = ensure_symbols(database, asked.symbols)
    budget = limiter(database.connect, HISTORY.name, settings.history.per_minute)
    budget.configure(settings.history.per_minute)
    since = since or mark(database)
    started = time.monotonic()
    with FillProgress(database, symbols, days, past, since, budget.state, news) as shown:
        errors = work(installation, asked)
    # Settled is not good.
    errors += unbelieved(database, symbols, days[:past])
    return Outcome(
        asked=asked,
        progress=progress(database, symbols, days, past, since),
        seconds=time.monotonic() - started,
        first_bar_s=shown.first_bar_s,
        errors=errors,
        simulated=settings.simulated,
    )


def _wait_for_queue(installation: Installation, asked: Asked) -> list[str]:
    database = installation.database
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if not is_pending(database, asked.symbols):
                return failures(database, asked.symbols)
            deadline = time.monotonic() + _PATIENCE_S
        except StorageError:
            # It may be starting again just now.
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_S)


def _launch(
    installation: Installation, asked: Asked, *, symbols: Sequence[str], on_platform: bool
) -> list[str]:
    """Launch a run for each of some of the symbols, and wait; return what went wrong."""
    if not symbols:
        return []

    from swiftbolt_assets.definitions import FILL_BARS, build_definitions
    from swiftbolt_assets.orchestration.instance import prepare_dagster
    from swiftbolt_assets.orchestration.launching import RunSpec, run_here, run_on_platform

    settings = installation.settings
    prepare_dagster(settings, installation.database)
    health = ProviderHealth(installation.database.transaction)
    definitions = None if on_platform else build_definitions(settings)
    shards = Shards(settings.shards)
    errors: list[str] = []
    # One probe a command: a wrong key costs one request, not one a symbol.
    probe = True
    for position, symbol in enumerate(symbols):
        spec = RunSpec(
            symbol=symbol,
            first=asked.window.sessions[0].day,
            last=asked.window.sessions[-1].day,
            priority=asked.priority,
            force=asked.force,
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
            cooling = health.cooling(HISTORY.name)
            # Whom the provider does not know says nothing of the next one.
            probe = cooling is not None and cooling.is_of_refusals and len(errors) < _REFUSED
            if rest and (
                (cooling is not None and cooling.is_for_all and not probe)
                or closed_for(installation.database.transaction, HISTORY.name) > PATIENT_S
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
