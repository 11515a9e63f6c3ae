"""Values that callers write, checked; every refusal names the field.

What belongs here: parsing that several routes share, and what all bodies have in common. What does
not: the routes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from resources.bars.chart import AGGREGATED
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.market.timeframes import Timeframe, parse_timeframe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_ALIASES = {"1d": "d1", "day": "d1", "1w": "w1", "week": "w1"}
_SHOWN = 20
#: Symbols of one call.
MOST_SYMBOLS = 200
TIMEFRAMES = (*map(str, Timeframe), *AGGREGATED)

DAYS = Annotated[int, Field(ge=1, le=36_500)]
#: Bars are younger; what is far outside has no counterpart in other time zones.
INSTANT = Annotated[
    AwareDatetime,
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC)),
]


def _nullable(schema: dict[str, Any]) -> None:
    """Describe a body as it is read: null wherever a field may be absent."""
    for name, field in schema["properties"].items():
        kinds = field.get("anyOf", [])
        if name in schema.get("required", ()) or {"type": "null"} in kinds:
            continue
        told = {key: field.pop(key) for key in ("title", "default") if key in field}
        schema["properties"][name] = {"anyOf": [field, {"type": "null"}], **told}


class Asked(BaseModel):
    """What a function is asked by a body; a field that is null is absent."""

    model_config = ConfigDict(json_schema_extra=_nullable)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not None}
        return {} if given is None else given


def required_symbol(text: str) -> str:
    """Return a canonical ticker.

    Raises:
        UsageError: the text is none.

    """
    return parse_symbol(text)


def require_few(symbols: Collection[str]) -> None:
    """Make sure that a call names no more symbols than one may.

    Raises:
        UsageError: there are more.

    """
    if len(symbols) > MOST_SYMBOLS:
        raise UsageError(f"symbols: at most {MOST_SYMBOLS} at once; send the rest separately")


def ticker(text: str) -> str | None:
    """Return a canonical ticker, None where the text is none."""
    try:
        return required_symbol(text)
    except UsageError:
        return None


def well_formed(texts: Iterable[str]) -> list[str]:
    """Return the canonical tickers among some texts, none twice."""
    return list(dict.fromkeys(filter(None, map(ticker, texts))))


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
