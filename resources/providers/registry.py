"""Which providers there are, and which of them is asked for what: the one table of them.

What belongs here: a line a provider, and questions about all of them. What does not: what one can
do (its folder), opening one (`resources/sources.py`).
"""

from __future__ import annotations

from resources.providers.capabilities import Capabilities, Role
from resources.providers.polygon.capabilities import CAPABILITIES as POLYGON
from resources.providers.tradier.capabilities import CAPABILITIES as TRADIER

#: Their precedence: where two have a bar, the earlier one's is shown, and the first of a role is
#: the one that is asked.
PROVIDERS: tuple[Capabilities, ...] = (
    POLYGON,
    TRADIER,
)
NAMES = [one.name for one in PROVIDERS]
#: Gives past sessions, splits and the list of tickers.
HISTORY = next(one for one in PROVIDERS if one.role is Role.HISTORY)
#: Gives today's bars and prices now, and tells of some weeks where history is in doubt.
TODAY = next(one for one in PROVIDERS if one.role is Role.TODAY)


def role_of(name: str) -> Role:
    """Return what a provider is asked for."""
    return next(one.role for one in PROVIDERS if one.name == name)
