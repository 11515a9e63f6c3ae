"""The course of one fill: what is asked next, what is asked again, and when to give up.

Sessions that were never asked for come first, newest first; those that an answer left open come
after them, with their neighbours, so that bars around a hole prove it.

What belongs here: the state between two questions. What does not: how wide a window is
(`policy/request_windows.py`), what an answer proves (`market/coverage.py`), asking and storing
(`filler.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swiftbolt_assets.policy.request_windows import Density, next_window, plan_edge, with_neighbours

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import date

    from resources.providers.contract import Answer
    from swiftbolt_assets.errors import ProviderError
    from swiftbolt_assets.market.sessions import Calendar, Session

#: A window that fails is left for the end once; a second failure in a row ends the fill. Each is
#: four attempts of the transport.
_FAILURES = 2


@dataclass(frozen=True)
class Question:
    """One request to make.

    Attributes:
        asked: the sessions it is about, ascending.
        first: first date of its window, which may be wider.
        last: last date.

    """

    asked: tuple[Session, ...]
    first: date
    last: date

    def since(self, day: date, *, but: Collection[Session] = ()) -> Question:
        """Return the part of it from a date on, without some sessions."""
        asked = tuple(s for s in self.asked if s.day >= day and s not in but)
        return Question(asked, max(day, self.first), self.last)


class Course:
    """What one fill has still to ask.

    Args:
        sessions: the unsettled past sessions.
        calendar: the exchange's sessions.
        today: the current New York date.
        refused: dates of those among them that the plan did not reach: asked for alone, and last.
        once: one question is asked, whatever comes of it.

    """

    def __init__(
        self,
        sessions: Iterable[Session],
        calendar: Calendar,
        *,
        today: date,
        refused: Collection[date] = frozenset(),
        once: bool = False,
    ) -> None:
        self._calendar = calendar
        self._once = once
        self._asked = False
        self._today = today
        self._refused = refused
        self._pending = {session.day: session for session in sessions}
        self._again: dict[date, Session] = {}
        self._repeating = False
        self._edge_asked = False
        self._cut: date | None = None
        self._density = Density()
        self._failures = 0
        self._postponed: ProviderError | None = None

    @property
    def is_finished(self) -> bool:
        """Return whether nothing is left to ask."""
        return (self._once and self._asked) or not (self._pending or self._again)

    @property
    def repeats(self) -> bool:
        """Return whether the next question is about sessions that were asked for before."""
        return self._repeating or not self._pending

    def next_question(self, empty: Collection[date]) -> Question:
        """Return what to ask next; not when all is asked.

        Args:
            empty: dates of the symbol's sessions that came back without a bar.

        """
        if not self._pending:
            self._pending, self._again, self._repeating = self._again, {}, True
        pending = list(self._pending.values())
        if not self._repeating:
            served = [session for session in pending if session.day not in self._refused]
            if not served:
                return self._take(min(self._pending), max(self._pending))
            return self._take(*next_window(served, self._calendar, self._density, empty=empty))
        edge = self._edge(empty)
        older = [day for day in self._pending if day < edge and day in empty]
        if older and not self._edge_asked:
            # Alone: what lies beyond the plan is refused, but only if all of the window does.
            self._edge_asked = True
            return self._take(min(older), max(older))
        window = next_window(pending, self._calendar, self._density, empty=empty)
        question = self._take(*window)
        first, last = with_neighbours(
            window, self._calendar, self._density, before=self._today, empty=empty
        )
        return Question(question.asked, first, last)

    def cut(self, first: date) -> list[Session]:
        """Leave out what is older than a date, since the plan does not reach it; return that."""
        self._cut = max(first, self._cut or first)
        waiting = (self._pending, self._again)
        return [one.pop(day) for one in waiting for day in list(one) if day < first]

    def part(self, question: Question, first: date) -> list[Session]:
        """Return the sessions of a question before a date, which the plan does not reach.

        Those that it did not reach before go unasked: they are asked for alone, so that another
        plan is noticed.
        """
        self._cut = max(first, self._cut or first)
        older = [session for session in question.asked if session.day < first]
        if not self._repeating and any(s.day not in self._refused for s in question.asked):
            kept = [session for session in older if session.day in self._refused]
            self._pending |= {session.day: session for session in kept}
            older = [session for session in older if session not in kept]
        return older

    def _edge(self, empty: Collection[date]) -> date:
        """Return the first date that the plan may serve, by what came back without a bar."""
        edge = plan_edge(self._today)
        if self._cut is None:
            return edge
        after = self._calendar.between(self._cut, self._today)
        return max(edge, next((s.day for s in after if s.day not in empty), edge))

    def answered(self, question: Question, answer: Answer, reached: Collection[date]) -> None:
        """Learn from an answer that is judged; a useless one counts as a failure.

        Args:
            question: what was asked.
            answer: what came.
            reached: dates of the sessions that it speaks of.

        Raises:
            ProviderError: the second useless one in a row.

        """
        if answer.broken_off is None:
            spanned = len(self._calendar.between(question.first, question.last))
            # A reply without `queryCount` has at most fifteen stored minutes a bar.
            minutes = answer.base_minutes or answer.bars.height * 15
            self._density = self._density.seen(minutes, spanned)
        elif not reached:
            self._count_failure(answer.broken_off)
            return
        self._failures = 0

    def ask_again(self, sessions: Iterable[Session]) -> None:
        """Keep sessions for a later question."""
        self._again |= {session.day: session for session in sessions}

    def failed(self, question: Question, error: ProviderError) -> None:
        """Leave a failed question for the end.

        Raises:
            ProviderError: it is the second failure in a row, or the only question's.

        """
        self._count_failure(error)
        self.ask_again(question.asked)

    def postpone_newest(self, question: Question, error: ProviderError) -> None:
        """Leave out a question's newest session, which the provider does not serve yet.

        Raises:
            ProviderError: one was left out before.

        """
        if self._postponed is not None:
            raise error
        self._postponed = error
        self._pending |= {session.day: session for session in question.asked[:-1]}

    def finish(self) -> None:
        """End the fill.

        Raises:
            ProviderError: a session was left out.

        """
        if self._postponed is not None:
            raise self._postponed

    def _take(self, first: date, last: date) -> Question:
        self._asked = True
        asked = [self._pending.pop(day) for day in sorted(self._pending) if first <= day <= last]
        return Question(tuple(asked), first, last)

    def _count_failure(self, error: ProviderError) -> None:
        self._failures += 1
        if self._once or self._failures >= _FAILURES:
            raise error
