"""What a provider can do, as data: one record that every other module asks.

What belongs here: the record's type. What does not: a provider's own record (its folder), which
providers there are (`registry.py`), opening one (`resources/sources.py`). Nothing is imported here
that does anything: settings and decisions read records, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Which days a provider is asked for."""

    HISTORY = "history"
    TODAY = "today"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One provider.

    Attributes:
        name: in tables, budgets, messages, and as key of Dagster's resource.
        label: its name as people write it.
        role: which days it is asked for.
        key_variables: the environment variables that may hold its key; messages name the first.
        url_variable, url: the variable of its base address, and the default.
        per_minute_variable, per_minute: the variable of its budget, shared by all processes, and
            the default.
        learns_budget: whether its replies name the budget; the variable is where it begins then.
        bars: its client of bars, as MODULE:CLASS; takes a transport.
        splits, tickers, quotes: the same of the lists of splits and tickers, and of prices now;
            None where it has none.
        most_base_minutes: stored one-minute bars behind one reply at most; 0 where they are not
            counted.
        plan_years: how far back its plans reach, or did, in years, the likeliest first, which is
            the smallest that is sold now; empty without plans.
        weekdays_kept: so many weekdays before today its bars begin; 0 where that is the plan's.
        knows_case: whether small letters in a ticker are others than capitals.
        class_separator: what sets off a class of shares.

    """

    name: str
    label: str
    role: Role
    key_variables: tuple[str, ...]
    url_variable: str
    url: str
    per_minute_variable: str
    per_minute: int
    bars: str
    splits: str | None = None
    tickers: str | None = None
    quotes: str | None = None
    learns_budget: bool = False
    most_base_minutes: int = 0
    plan_years: tuple[int, ...] = ()
    weekdays_kept: int = 0
    knows_case: bool = True
    class_separator: str = "."

    @property
    def key_variable(self) -> str:
        """Return the variable of its key that messages name."""
        return self.key_variables[0]

    @property
    def variables(self) -> tuple[str, ...]:
        """Return every environment variable that is about it."""
        return *self.key_variables, self.url_variable, self.per_minute_variable

    def spelled(self, symbol: str) -> str | None:
        """Return its spelling of a canonical symbol; None where it has none.

        One that knows no case would answer for another company.
        """
        if not self.knows_case and symbol != symbol.upper():
            return None
        return symbol.replace(".", self.class_separator)

    @property
    def unspelled(self) -> str:
        """Return why it has no spelling for some symbols."""
        return f"{self.label} knows no small letters"
