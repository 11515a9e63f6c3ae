"""The job `list_tickers`: one page of the list of tickers and company names.

An op, not an asset: bars never depend on it. A page a run, so that a run never holds a place while
the budget fills up again, and a killed one loses one page at most. What it meets does not count
against the provider's health, which is about bars.

What belongs here: the run. What does not: what is due and how pages become a list
(`resources/bars/listed_tickers.py`), when it is launched (`sensors/tickers.py`).
"""

# No `from __future__ import annotations`: Dagster reads the op's annotations at run time.
from collections.abc import Callable

import dagster as dg

from resources.bars.listed_tickers import TickerList
from resources.dagster import POSTGRES, opened, source
from resources.providers.registry import HISTORY
from resources.sources import Source
from resources.storage import Storage
from swiftbolt_assets.assets.failing import failure
from swiftbolt_assets.errors import ProviderError, SwiftBoltError
from swiftbolt_assets.policy.admission import PEOPLE

LIST_TICKERS = "list_tickers"
#: For the request limiter: below every bar, or before what only the platform itself wants.
_PATIENT, _OVERDUE = -1, PEOPLE - 1


def build_tickers_job() -> dg.JobDefinition:
    """Return the job."""

    @dg.op(
        name="list_page",
        description=f"Asks {HISTORY.label} for the next page of the list of tickers.",
        required_resource_keys={POSTGRES, HISTORY.name},
    )
    def list_page(context: dg.OpExecutionContext) -> None:
        storage, history = opened(context), source(context, HISTORY)
        try:
            with TickerList(storage.database).turn() as is_ours:
                if is_ours:
                    next_page(storage, history, context.log.info)
                else:
                    context.log.info("another run asks")
        except SwiftBoltError as error:
            raise failure(error) from error
        finally:
            storage.close()

    @dg.job(
        name=LIST_TICKERS,
        executor_def=dg.in_process_executor,
        description="Pulls a page of the list of tickers and company names; a month's are some 13.",
        # A killed one is not started again: the page is due for the next.
        run_tags={"dagster/max_retries": "0"},
    )
    def list_tickers_job() -> None:
        list_page()

    return list_tickers_job


def next_page(storage: Storage, history: Source, tell: Callable[[str], object]) -> None:
    """Ask for the page that is due and keep it, unless somebody wants the slot.

    Raises:
        ProviderError: it did not come or cannot be trusted; it is noted, and due again later.
        StorageError: the database does not answer.

    """
    book, today = TickerList(storage.database), storage.clock.today()
    due = book.due(today)
    if due is None or (due.is_patient and not history.is_idle(storage)):
        tell("nothing is due, or bars go first")
        return
    try:
        page = history.open_tickers(storage).page(
            due.cursor, priority=_PATIENT if due.is_patient else _OVERDUE
        )
        stored = book.store(due.cursor, page, today)
    except ProviderError as error:
        book.failed(error)
        raise
    tell(
        f"{len(page.names)} tickers, {page.refused} rows are none; {stored.tickers} so far"
        + (f"; the list is whole, {stored.named} symbols are named" if stored.is_whole else "")
    )
