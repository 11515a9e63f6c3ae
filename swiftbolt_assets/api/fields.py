"""Values that callers write, checked; every refusal names the field.

What belongs here: parsing that several routes share. What does not: the routes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from resources.chart import AGGREGATED
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.market.timeframes import Timeframe, parse_timeframe

_ALIASES = {"1d": "d1", "day": "d1", "1w": "w1", "week": "w1"}
_SHOWN = 20
TIMEFRAMES = (*map(str, Timeframe), *AGGREGATED)

DAYS = Annotated[int, Field(ge=1, le=36_500)]
#: Bars are younger; what is far outside has no counterpart in other time zones.
INSTANT = Annotated[
    AwareDatetime,
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]


def required_symbol(text: str) -> str:
    """Return a canonical ticker.

    Raises:
        UsageError: the text is none.

    """
    return parse_symbol(text)


def required_timeframe(text: str) -> str:
    """Return a timeframe's token: m15, h1, h4, d1 or w1.

    Raises:
        UsageError: the text is none.

    """
    token = text.strip().lower()
    token = _ALIASES.get(token, token)
    if token in AGGREGATED:
        return token
    try:
        return str(parse_timeframe(token))
    except UsageError:
        shown = ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
        raise UsageError(
            f"timeframe: {shown} is unknown. Invalid timeframe. Must be one of: "
            f"{', '.join(TIMEFRAMES)}"
        ) from None


def printable(field: str, text: str, longest: int) -> str:
    """Return a text that a database can hold and a person can read.

    Raises:
        UsageError: it is too long, or holds control characters or halves of characters.

    """
    if len(text) > longest:
        raise UsageError(f"{field}: it is longer than {longest} characters")
    if not text.isprintable():
        raise UsageError(f"{field}: it holds characters that cannot be shown")
    return text
