"""What a ticker symbol is, and its spelling at each provider.

The canonical form is Polygon's: upper case, class shares with a dot (`BRK.B`). Tradier writes a
slash (`BRK/B`). Whether a well-formed symbol exists is settled by the providers' answers.
"""

from __future__ import annotations

import re

from swiftbolt_assets.errors import UsageError

_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,9}(\.[A-Z][A-Z0-9]{0,3})?")
_SHOWN = 24


def parse_symbol(text: str) -> str:
    """Return the canonical symbol: upper case, surrounding blanks dropped.

    Only ASCII passes: `str.upper` would turn look-alikes such as the dotless i into letters.

    Raises:
        UsageError: the text is not a ticker symbol.

    """
    candidate = text.strip(" \t\r\n")
    if not candidate:
        raise UsageError("symbol: it is empty; give a ticker such as AAPL or BRK.B")
    shown = ascii(candidate if len(candidate) <= _SHOWN else candidate[:_SHOWN] + "...")
    if candidate.isascii():
        symbol = candidate.upper()
        if _SYMBOL.fullmatch(symbol):
            return symbol
    raise UsageError(
        f"symbol: {shown} is not a ticker; use letters and digits, "
        "at most 10, and a dot for class shares (AAPL, BRK.B)"
    )


def tradier_symbol(symbol: str) -> str:
    """Return Tradier's spelling of a canonical symbol."""
    return symbol.replace(".", "/")
