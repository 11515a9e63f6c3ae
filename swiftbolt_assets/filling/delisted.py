"""Finds who trades no more, and has some of them asked about; nobody is asked for the proof.

The ledger tells: what was asked in other nights is evidence already, also on an installation that
has had such symbols for long. Once an hour, and first of all on a new day, before it is planned.

What belongs here: the order of a look. What does not: what is evidence (`market/delisted.py`), what
follows from it (SQL behind `resources/bars/delisted.py`). No Dagster here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.bars.delisted import DelistedBook
from swiftbolt_assets.market.delisted import (
    evidence,
    first_question,
    questions_a_day,
    witnessed,
)

if TYPE_CHECKING:
    from resources.storage import Storage


def look_for_delisted(storage: Storage) -> list[str]:
    """Look unless that was done within the hour; return who was found to trade no more.

    Raises:
        StorageError: the database does not answer; the next look is an hour away.

    """
    book = DelistedBook(storage.database)
    if not book.take_turn():
        return []
    known, found = book.count(), []
    if silences := book.silent():
        traders, today = book.traders(), storage.clock.today()
        told = witnessed(traders.by_day, traders.symbols)
        shown = [(one, why) for one in silences if (why := evidence(one, told))]
        found = book.declare(
            [
                (one, why, first_question(today, known + number))
                for number, (one, why) in enumerate(shown)
            ]
        )
    if total := known + len(found):
        book.ask_some(questions_a_day(total))
    return found
