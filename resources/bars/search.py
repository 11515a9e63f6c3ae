"""Finding symbols by what a person types.

Search is blind to case and shows each ticker as it is spelled. It reads the symbols that somebody
has asked for and the list of tickers; without a list it works by ticker.

What belongs here: the one statement. What does not: the list itself (`listed_tickers.py`), what a
reply looks like (`swiftbolt_assets/api/routes/symbols.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.symbols import parse_symbol

if TYPE_CHECKING:
    from resources.postgres.callers import Connection

MOST = 20
#: A single letter begins tickers and names; as a word in one it says nothing.
_LEAST_TEXT = 2
#: Shorter words are whole, but for the one that is still being typed.
_LEAST_BEGINNING = 3
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Found:
    """A symbol that fits.

    Attributes:
        id: of the symbol; of one that nobody has asked for yet, the one that it will have.
        ticker: canonical.
        asset_type: stock, future, option or crypto.
        description: its name, empty where nobody has told it.
        known: whether somebody has asked for it; others are listed only, or not even that.

    """

    id: UUID
    ticker: str
    asset_type: str
    description: str
    known: bool


def search_symbols(connection: Connection, text: str) -> list[Found]:
    """Return what fits best, 20 at most.

    First the ticker as it was typed, then the same in another case, then what somebody has asked
    for, then what is listed; of each tickers that begin so, names that begin so, and names with
    words that do. A well-formed ticker that nobody knows comes last:
    the providers settle whether it exists.
    """
    try:
        exact = parse_symbol(text)
    except UsageError:
        exact = None
    values = {
        "exact": exact,
        "ticker": _escaped(exact or text),
        "name": _escaped(text),
        "words": _words(text) if len(text) >= _LEAST_TEXT else "",
        "most": MOST,
    }
    return [Found(UUID(str(row[0])), *row[1:]) for row in connection.execute(_SEARCH, values)]


def _words(text: str) -> str:
    """Return the words of a text as a query of Postgres' text search: all of them, in any order."""
    words = _WORD.findall(text)
    return " & ".join(
        f"'{word}'" + (":*" if place == len(words) or len(word) >= _LEAST_BEGINNING else "")
        for place, word in enumerate(words, 1)
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _branches(table: str, name: str) -> str:
    """Return what finds the best of a table; each part gives so many rows at most."""
    ordered = "order by length(ticker), ticker limit %(most)s"
    return f"""
  (select ticker, 2 as rank from {table}
    where upper(ticker) like upper(%(ticker)s) || '%%' {ordered})
  union all
  (select ticker, 3 from {table} where upper({name}) like upper(%(name)s) || '%%' {ordered})
  union all
  (select ticker, 4 from {table}
    where %(words)s <> '' and to_tsvector('simple'::regconfig, {name})
      @@ to_tsquery('simple'::regconfig, %(words)s) {ordered})"""  # noqa: S608 - names as below


# The two upper() are of what is compared only: see above.
_SEARCH = f"""
with fitting as (
  {_branches("symbols", "description")}
  union all
  {_branches("listed_tickers", "name")}
  union all
  select %(exact)s::text, 5 where %(exact)s::text is not null
), best as (
  select ticker, min(rank) as rank from fitting group by ticker
), ranked as (
  select ticker, rank, row_number() over (
      order by rank = 5, ticker <> coalesce(%(exact)s, ''), upper(ticker) <> upper(%(ticker)s),
        s.id is null, rank, length(ticker), ticker) as place,
    count(*) filter (where rank = 5) over () as offers
    from best left join symbols s using (ticker)
)
select coalesce(s.id, symbol_id(r.ticker)), r.ticker, coalesce(s.asset_type::text, 'stock'),
  coalesce(nullif(s.description, ''), l.name, ''), s.id is not null
  from ranked r left join symbols s using (ticker) left join listed_tickers l using (ticker)
 where r.place <= %(most)s - r.offers or r.rank = 5
 order by r.place
"""  # noqa: S608 - of the two tables' names above
