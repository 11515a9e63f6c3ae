"""Whether a symbol trades no more, by evidence, and how often it is asked about then.

Silence alone is none: a provider may be away, and a thin symbol has days without a trade. A session
counts when the symbol was asked for and had no bar, an answer a day later said the same, and others
traded: three symbols that trade on most days, all of them where there are fewer. Twenty such
sessions since the last bar are evidence; five are where the provider's list of tickers, which held
the symbol once, holds it no more.

A symbol that trades no more is asked about once a month, a thirtieth of them a day, until a bar
ends it. What belongs here: pure decisions over dates. What does not: who is silent
(`resources/bars/delisted.py`), what follows (`migrations/functions/delisted.sql`,
`coverage.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date
    from uuid import UUID

#: Sessions that are looked back at; older silence tells nothing that these do not.
LOOKED_BACK = 60
#: Sessions without a bar that are evidence.
SILENT = 20
#: The same where the list of tickers holds the symbol no more. Nobody whose silence has not lasted
#: into this many of the newest sessions is judged, either: it may have been asked for long ago.
SILENT_UNLISTED = 5
#: Others that must have traded, all of them where there are fewer.
_OTHERS = 3
#: A symbol that traded in so many of the last `SILENT` sessions can tell of others.
OFTEN = SILENT // 2
_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Silence:
    """A symbol without a bar in its newest sessions.

    Attributes:
        symbol_id: whose.
        symbol: canonical ticker.
        last_bar_on: the last session with a bar, None where none is known.
        since: the first session after it that was asked for.
        confirmed: sessions since then of which an answer a day later said the same, ascending.
        left_list_on: of the list that holds the symbol no more, None where one does, or none did.

    """

    symbol_id: UUID
    symbol: str
    last_bar_on: date | None
    since: date
    confirmed: Sequence[date]
    left_list_on: date | None = None


def witnessed(traders: Mapping[date, int], witnesses: int) -> frozenset[date]:
    """Return the sessions in which enough others traded for a silence to tell something.

    Args:
        traders: by session, how many of the witnesses have a bar.
        witnesses: symbols that trade on most days.

    """
    least = max(1, min(_OTHERS, witnesses))
    return frozenset(day for day, count in traders.items() if count >= least)


def evidence(silence: Silence, told: Collection[date]) -> str | None:
    """Return what shows that a symbol trades no more, one sentence; None where nothing does.

    Args:
        silence: the symbol's.
        told: sessions in which others traded.

    """
    silent = sum(day in told for day in silence.confirmed)
    last = silence.last_bar_on
    bar = "no bar is known" if last is None else f"the last bar is of {last}"
    if silent >= SILENT:
        return f"{bar}; none in {silent} sessions in which others traded"
    left = silence.left_list_on
    if left is not None and (last is None or last < left) and silent >= SILENT_UNLISTED:
        return f"the provider's list of {left} holds it no more; {bar}"
    return None


def first_question(today: date, number: int) -> date:
    """Return when a symbol is asked about that was just found to trade no more.

    Args:
        today: the current New York date.
        number: how many were found before: those that are found at once are spread over a month.

    """
    return today + _MONTH - timedelta(days=number % _MONTH.days)


def questions_a_day(delisted: int) -> int:
    """Return how many of them may be asked about on one day."""
    return -(-delisted // _MONTH.days)
