"""The three stored timeframes and their spellings.

What belongs here: the canonical tokens, which SQL's `timeframe` enum shares, and the aliases that
are understood at the edge. What does not: how bars are aggregated (`resample.py`).
"""

from __future__ import annotations

from enum import StrEnum

from swiftbolt_assets.errors import UsageError


class Timeframe(StrEnum):
    """A stored timeframe; the value is the token used everywhere."""

    M15 = "m15"
    H1 = "h1"
    H4 = "h4"

    @property
    def minutes(self) -> int:
        """Return the nominal length of a bar in minutes; a session's last bar may be shorter."""
        return {Timeframe.M15: 15, Timeframe.H1: 60, Timeframe.H4: 240}[self]


_ALIASES = {
    "15m": Timeframe.M15,
    "15min": Timeframe.M15,
    "1h": Timeframe.H1,
    "60m": Timeframe.H1,
    "4h": Timeframe.H4,
    "240m": Timeframe.H4,
}


def parse_timeframe(text: str) -> Timeframe:
    """Return the timeframe that a user wrote, in any case and spelling.

    Raises:
        UsageError: the text is no stored timeframe.

    """
    token = text.strip().lower()
    if token in _ALIASES:
        return _ALIASES[token]
    try:
        return Timeframe(token)
    except ValueError:
        known = ", ".join(Timeframe)
        shown = text if len(text) <= 20 else text[:20] + "…"  # noqa: PLR2004 - a line stays short
        raise UsageError(f"timeframe: {shown!r} is unknown; use one of {known}") from None
