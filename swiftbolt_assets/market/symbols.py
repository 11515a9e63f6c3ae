"""What a ticker symbol is, and how people type it.

The canonical form is case-coded as on the consolidated tape: `BACpL` is a preferred share, `ABCr` a
right, `ABCw` is when-issued, and `BCpC` is another company than `BCPC`. A dot sets off a class
(`BRK.B`), units (`ABC.U`), warrants and their series (`ABC.WS.A`). So nothing here folds case, but
one rule: what is typed in small letters alone means capitals. No ticker is written so, since each
begins with a capital.

SQL's `canonical_symbol` is the same rule; a test holds the two together. Whether a well-formed
symbol exists is settled by the providers' answers. A provider's spelling is its record's
(`resources/providers/capabilities.py`).
"""

from __future__ import annotations

import re

from swiftbolt_assets.errors import UsageError

#: As the checks of `symbols`, `job_definitions` and `listed_tickers` have it.
_SYMBOL = re.compile(r"[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}")
_BLANKS = " \t\r\n"
_SEPARATORS = str.maketrans("-/", "..")
_SHOWN = 24


def parse_symbol(text: str) -> str:
    """Return the canonical symbol of what somebody typed.

    With a capital in it, it is taken as typed; without one, its letters become capitals. A dash or
    a slash is a dot, surrounding blanks are dropped. Only ASCII passes: `str.upper` would turn
    look-alikes such as the dotless i into letters.

    Raises:
        UsageError: the text is not a ticker symbol.

    """
    candidate = text.strip(_BLANKS)
    if not candidate:
        raise UsageError("symbol: it is empty; give a ticker such as AAPL or BRK.B")
    if candidate.isascii():
        symbol = candidate.translate(_SEPARATORS)
        if symbol == symbol.lower():
            # The one place that changes case: see above.
            symbol = symbol.upper()
        if is_symbol(symbol):
            return symbol
    shown = ascii(candidate if len(candidate) <= _SHOWN else candidate[:_SHOWN] + "...")
    raise UsageError(
        f"symbol: {shown} is not a ticker; begin with a capital, or write small letters only; "
        "at most 10 letters and digits, then a dot for a class, units or warrants "
        "(AAPL, BRK.B, BACpL, ABC.WS.A)"
    )


def is_symbol(text: str) -> bool:
    """Return whether a text is a canonical symbol."""
    return _SYMBOL.fullmatch(text) is not None
