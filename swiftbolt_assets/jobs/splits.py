"""The job `look_up_splits`: keeps table `splits` current, one request a day for all symbols.

An op, not an asset: bars never depend on it. A look-up that fails is told, kept with its reason and
asked again later; it does not count against the provider's health, which is about bars. It asks at
the lowest priority, so that bars take their slots first. Where it changes splits, the check that
rests on them is evaluated again.

What belongs here: the run. What does not: what is due (`resources/bars/splits.py`), when it is
launched (`sensors/splits.py`), folding (`market/splits.py`).
"""

# No `from __future__ import annotations`: Dagster reads the op's annotations at run time.
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from resources.bars.splits import SplitBook
from resources.dagster import POSTGRES, opened, source
from resources.providers.health import ProviderHealth
from resources.providers.lists import SplitList, SplitsAsked
from resources.providers.registry import HISTORY
from resources.sources import Source
from resources.storage import Storage
from swiftbolt_assets.assets.checks.splits_explain_prices import splits_again
from swiftbolt_assets.assets.failing import failure
from swiftbolt_assets.errors import BadRequestError, ProviderError, SwiftBoltError
from swiftbolt_assets.policy.shards import UNDIVIDED, Shards

LOOK_UP_SPLITS = "look_up_splits"
#: For the request limiter: below every bar.
_PRIORITY = -1
#: Reasons in a failed run's own message; the table has all.
_TOLD = 3

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class LookedUp:
    """What came of some look-ups: why some failed, and whose splits are others now."""

    failures: Sequence[str]
    symbols: Collection[str]


def build_splits_job(shards: Shards = UNDIVIDED) -> dg.JobDefinition:
    """Return the job.

    Args:
        shards: of the installation, whose checks are evaluated again.

    """

    @dg.op(
        name="look_up",
        description=f"Asks {HISTORY.label} for the splits that are due to be asked for.",
        required_resource_keys={POSTGRES, HISTORY.name},
    )
    def look_up(context: dg.OpExecutionContext) -> None:
        storage, history = opened(context), source(context, HISTORY)
        book = SplitBook(storage.database)
        try:
            with book.turn() as is_ours:
                today = storage.clock.today()
                wanted = book.due(today) if is_ours else []
                if not wanted:
                    context.log.info("nothing is due, or another run asks")
                    return
                came = ask(history.open_splits(storage), book, wanted, today, context.log.info)
            for evaluation in splits_again(book, came.symbols, shards):
                # As a run's own event it would belong to a step that makes no asset.
                context.instance.report_runless_asset_event(evaluation)
        except SwiftBoltError as error:
            raise failure(error) from error
        finally:
            storage.close()
        if came.failures:
            raise failure("; ".join(came.failures[:_TOLD]))

    @dg.job(
        name=LOOK_UP_SPLITS,
        executor_def=dg.in_process_executor,
        description="Asks for share splits: once a day for all symbols, once for each new one.",
        # A killed one is not started again: what is due then is asked for by the next.
        run_tags={"dagster/max_retries": "0"},
    )
    def look_up_splits_job() -> None:
        look_up()

    return look_up_splits_job


def look_up_without_waiting(
    storage: Storage, history: Source, symbols: Collection[str]
) -> Collection[str]:
    """Ask what is due for all and for some symbols, where no platform runs that would.

    It leaves a slot free and waits for none: what does not fit is due the next time. It returns
    the symbols whose splits are others now.

    Raises:
        StorageError: the database does not answer.

    """
    if history.is_off or ProviderHealth(storage.database.transaction).rests(history.provider.name):
        return ()
    book, today = SplitBook(storage.database), storage.clock.today()
    with book.turn() as is_ours:
        wanted = [one for one in book.due(today) if one.symbol in {None, *symbols}]
        free = history.free_slots(storage)
        if free is not None:
            wanted = wanted[: max(0, free - 1)]
        if not is_ours or not wanted:
            return ()
        return ask(history.open_splits(storage), book, wanted, today, _LOG.info).symbols


def ask(
    client: SplitList,
    book: SplitBook,
    wanted: Sequence[SplitsAsked],
    today: date,
    tell: Callable[[str], object],
) -> LookedUp:
    """Ask and store one after the other.

    A provider that does not answer is not asked for the rest: that waits, too.

    Raises:
        StorageError: the database does not answer.

    """
    failures: list[str] = []
    symbols: set[str] = set()
    away: ProviderError | None = None
    for asked in wanted:
        whose = asked.symbol or "all symbols"
        try:
            if away is not None:
                raise away
            answer = client.fetch(asked, priority=_PRIORITY)
        except ProviderError as error:
            away = None if isinstance(error, BadRequestError) else error
            book.failed(asked, error)
            failures.append(f"splits of {whose}: {error}")
            continue
        changes = book.store(answer, today)
        symbols |= changes.symbols
        tell(
            f"splits of {whose} since {asked.first}: {changes.added} new, "
            f"{changes.removed} withdrawn; {answer.requests} requests"
        )
        for line in answer.refused:
            tell(f"splits of {whose}: not believed: {line}")
    return LookedUp(failures, symbols)
