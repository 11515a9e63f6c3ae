"""Finding symbols by what a person types.

What belongs here: the one statement. What does not: offering a ticker that nobody has asked for yet
(`swiftbolt_assets/api/symbols.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from resources.callers import Connection

#: Up to so many letters a text is the beginning of a ticker, not a part of a name.
_SHORT = 4
_MOST = 20


@dataclass(frozen=True)
class Found:
    """A symbol that fits.

    Attributes:
        id: of the symbol.
        ticker: canonical.
        asset_type: stock, future, option or crypto.
        description: its name, None where nobody has told it.

    """

    id: UUID
    ticker: str
    asset_type: str
    description: str | None


def search_symbols(connection: Connection, text: str) -> list[Found]:
    """Return the symbols that fit best: the ticker itself, tickers that begin so, then names."""
    plain = text.upper()
    rows = connection.execute(
        _SEARCH,
        {"text": plain, "pattern": _escaped(plain), "long": len(plain) > _SHORT, "most": _MOST},
    ).fetchall()
    return [Found(UUID(str(row[0])), *row[1:]) for row in rows]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_SEARCH = """
select id, ticker, asset_type::text, description
  from symbols
 where ticker like %(pattern)s || '%%'
    or (%(long)s and (ticker like '%%' || %(pattern)s || '%%'
      or upper(description) like '%%' || %(pattern)s || '%%'))
 order by ticker <> %(text)s, ticker not like %(pattern)s || '%%', length(ticker), ticker
 limit %(most)s
"""
