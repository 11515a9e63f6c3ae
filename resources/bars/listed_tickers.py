"""Table `listed_tickers`: what trades and how it is called, and how far the next list has come.

The list is pulled a page at a time and kept beside the present one until it is whole; then it
replaces it in one transaction, so that search never sees half a list. What is listed is no symbol:
nobody wants it, nothing is planned for it.

What belongs here: statements about the list and when a page is due. What does not: the request
(the folder of the provider that has it), searching (`search.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import BadRequestError, MalformedReplyError
from swiftbolt_assets.policy.admission import PEOPLE

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import date

    from resources.postgres.database import Database
    from resources.providers.lists import TickersPage
    from swiftbolt_assets.errors import ProviderError

#: How long a list is good for, by the market's clock.
GOOD_FOR = timedelta(days=30)
#: What is due for longer than this takes its turn before the platform's own ideas.
_PATIENCE = timedelta(days=1)
#: A fresh installation's first minutes belong to the first chart.
_FIRST_MINUTES = timedelta(minutes=5)
#: Pages that are further apart are no longer of one list.
_LONGEST_PULL = timedelta(days=3)
#: More pages are a loop: a list of 100,000.
_MOST_PAGES = 100
#: A list that has shrunk to less than this part is none.
_LEAST_PART = 0.5


@dataclass(frozen=True, slots=True)
class PageDue:
    """A page that is to be asked for.

    Attributes:
        cursor: leads to it; None for the first.
        is_patient: whether it waits for slots that nothing at all wants.

    """

    cursor: str | None
    is_patient: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What a page came to.

    Attributes:
        tickers: of the list so far.
        is_whole: whether it was the last one, so that the list is in use now.
        named: symbols that have another name now.

    """

    tickers: int
    is_whole: bool
    named: int = 0


@dataclass(frozen=True, slots=True)
class ListState:
    """How the list stands.

    Attributes:
        listed_on: New York date of the list in use, None before any.
        tickers: in it.
        arrived: tickers of the next one so far.
        failures: of the page that is due, in a row.
        error: why the latest failed, None when it did not.

    """

    listed_on: date | None
    tickers: int
    arrived: int
    failures: int
    error: str | None


class TickerList:
    """Reads and writes the list; opens a connection for each call, none is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, today: date) -> PageDue | None:
        """Return the page that is to be asked for now; None where none is, or work goes first.

        Args:
            today: New York date of the market's clock.

        """
        values = {
            "today": today,
            "good_for": GOOD_FOR,
            "patience": _PATIENCE,
            "first": _FIRST_MINUTES,
            "longest": _LONGEST_PULL,
            "people": PEOPLE,
        }
        with self._database.transaction() as connection:
            row = connection.execute(_DUE, values).fetchone()
        return None if row is None else PageDue(*row)

    def state(self) -> ListState:
        """Return how the list stands."""
        with self._database.transaction() as connection:
            row = connection.execute(_STATE).fetchone()
        return ListState(*(row or (None, 0, 0, 0, None)))

    def turn(self) -> AbstractContextManager[bool]:
        """Yield whether it is ours to ask: two at once would ask for the same page."""
        return self._database.turn("ticker list")

    def store(self, cursor: str | None, page: TickersPage, today: date) -> Stored:
        """Keep a page; with the last one the list replaces the one before.

        Symbols without a name, or with the one that the former list gave, get the new one.

        Args:
            cursor: what led to the page, None for the first.
            page: as it came.
            today: New York date of the market's clock.

        Raises:
            MalformedReplyError: the pages do not make a list; the one before stays.
            StorageError: the database refused or went away; nothing was stored.

        """
        with self._database.transaction() as connection:
            if cursor is None:
                connection.execute("delete from arriving_tickers")
            rows = (list(page.names), list(page.names.values()))
            added = connection.execute(_ADD, rows).rowcount
            row = connection.execute(_ARRIVED, {"is_first": cursor is None}).fetchone()
            pages, arrived, present = row or (0, 0, 0)
            if page.cursor is not None:
                if page.cursor == cursor or not added or pages >= _MOST_PAGES:
                    raise MalformedReplyError("the pages do not end")
                connection.execute(_GO_ON, {"cursor": page.cursor, "pages": pages})
                return Stored(arrived, is_whole=False)
            if not arrived or arrived < _LEAST_PART * present:
                raise MalformedReplyError(f"the list has {arrived} tickers, {present} are known")
            named = connection.execute(_RENAME).rowcount
            # Whom this list holds and the one before did not may trade again.
            connection.execute(_SEEN)
            connection.execute(_BACK)
            connection.execute("delete from listed_tickers")
            connection.execute("insert into listed_tickers select * from arriving_tickers")
            connection.execute("delete from arriving_tickers")
            connection.execute(_LISTED, (today,))
            connection.execute(_SEEN)
        return Stored(arrived, is_whole=True, named=named)

    def failed(self, error: ProviderError) -> None:
        """Keep why a page did not come; it is due again in 10 minutes, doubled each time to 6 h.

        Where the page itself is at fault, the list begins anew.
        """
        anew = isinstance(error, BadRequestError | MalformedReplyError)
        with self._database.transaction() as connection:
            connection.execute(_FAILED, (" ".join(str(error).split()), anew, anew))


# A pull that lasts too long begins anew. A page waits until nothing is at work; when it is due for
# a day, until nothing that people want is.
_DUE = """
with known as (
  select *, case when began_at > clock_timestamp() - %(longest)s then cursor end as place,
    coalesce(listed_on + (%(good_for)s + %(patience)s) <= %(today)s, listed_on is null
      and created_at < clock_timestamp() - %(patience)s) as is_overdue
    from ticker_list
), busy as (
  -- What waits for its hour takes no slot.
  select max(priority) as priority from job_runs
   where status = 'running'
      or (status = 'queued' and is_due(next_attempt_at, next_attempt_market_at))
)
select k.place, not k.is_overdue
  from known k, busy b
 where (k.place is not null or k.listed_on is null
     or k.listed_on + %(good_for)s <= %(today)s or k.listed_on > %(today)s)
   and k.created_at < clock_timestamp() - %(first)s
   and (k.retry_at is null or k.retry_at <= clock_timestamp())
   and (b.priority is null or (k.is_overdue and b.priority < %(people)s))
"""

_STATE = """
select listed_on, (select count(*) from listed_tickers), (select count(*) from arriving_tickers),
  failures, error from ticker_list
"""

# A list may hold a ticker twice, and pages may overlap where it has changed meanwhile.
_ADD = """
insert into arriving_tickers (ticker, name) select * from unnest(%s::text[], %s::text[])
on conflict (ticker) do nothing
"""
_ARRIVED = """
select case when %(is_first)s then 1 else pages + 1 end,
  (select count(*) from arriving_tickers), (select count(*) from listed_tickers)
  from ticker_list for update
"""
_GO_ON = """
update ticker_list set cursor = %(cursor)s, pages = %(pages)s, failures = 0, error = null,
  retry_at = null,
  began_at = case when %(pages)s = 1 then clock_timestamp() else began_at end
"""
_LISTED = """
update ticker_list set listed_on = %s, began_at = null, cursor = null, pages = 0, failures = 0,
  error = null, retry_at = null
"""
_RENAME = """
update symbols s set description = n.name
  from arriving_tickers n left join listed_tickers o using (ticker)
 where n.ticker = s.ticker and n.name <> '' and s.description is distinct from n.name
   and (coalesce(s.description, '') = '' or s.description = o.name)
"""
_BACK = """
update delisted_symbols d set ask_on = least(d.ask_on, market_today())
  from symbols s join arriving_tickers n using (ticker)
 where s.id = d.symbol_id and s.listed_on is distinct from (select listed_on from ticker_list)
"""
# Of the list before as well: a symbol may be younger than it.
_SEEN = """
update symbols s set listed_on = t.listed_on from ticker_list t
 where s.listed_on is distinct from t.listed_on and s.ticker in (select ticker from listed_tickers)
"""
_FAILED = """
update ticker_list set failures = failures + 1, error = %s,
  cursor = case when %s then null else cursor end,
  pages = case when %s then 0 else pages end,
  retry_at = clock_timestamp()
    + least(interval '10 minutes' * 2 ^ least(failures, 10), interval '6 hours')
"""
