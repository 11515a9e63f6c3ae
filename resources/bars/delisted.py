"""Table `delisted_symbols`: who trades no more, since when, by what evidence; and who is silent.

Declaring, asking and ending are one SQL function each (`migrations/functions/delisted.sql`); a bar
ends the state in the transaction that stores it (`session_rows.py`).

What belongs here: these statements. What does not: what is evidence
(`market/delisted.py`), the order of a look (`filling/delisted.py`), both in `swiftbolt_assets/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

from resources.postgres.in_turn import in_turn
from swiftbolt_assets.market.delisted import LOOKED_BACK, OFTEN, SILENT, SILENT_UNLISTED, Silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from resources.postgres.callers import Connection
    from resources.postgres.database import Database


#: So many are declared in one transaction.
_AT_ONCE = 100


@dataclass(frozen=True)
class Delisted:
    """A symbol that trades no more.

    Attributes:
        symbol: canonical ticker.
        since: the first session of its silence.
        last_bar_on: the last session with a bar, None where none is known.
        evidence: one sentence.
        asked_on: New York date on which the provider said so last, that day or later.
        ask_on: on which it is asked again, about.

    """

    symbol: str
    since: date
    last_bar_on: date | None
    evidence: str
    asked_on: date
    ask_on: date


@dataclass(frozen=True)
class Traders:
    """How many symbols that trade on most days have a bar, by session."""

    by_day: Mapping[date, int]
    symbols: int


def delisted(connection: Connection, symbol: str | None = None) -> list[Delisted]:
    """Return who trades no more, all or one, by name."""
    rows = connection.execute(_DELISTED, {"symbol": symbol}).fetchall()
    return [Delisted(*row) for row in rows]


def end_traded(connection: Connection, traded: Mapping[str, date]) -> int:
    """End the state of symbols that another provider says have traded; return how many.

    Args:
        connection: the owner's.
        traded: canonical ticker -> New York date of its last trade.

    """
    values = (list(traded), list(traded.values()))
    return len(connection.execute(_TRADED, values).fetchall())


class DelistedBook:
    """Reads and writes who trades no more; each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_turn(self) -> bool:
        """Return whether nobody has looked within the hour and this day (market clock)."""
        with self._database.transaction() as connection:
            return connection.execute(_TURN).rowcount > 0

    def silent(self) -> list[Silence]:
        """Return who has no bar in the newest sessions and is not known to trade no more."""
        values = {"back": LOOKED_BACK, "newest": SILENT_UNLISTED}
        with self._database.transaction() as connection:
            rows = connection.execute(_SILENT, values).fetchall()
        return [Silence(UUID(str(row[0])), *row[1:]) for row in rows]

    def traders(self) -> Traders:
        """Return in which sessions others traded."""
        values = {"back": LOOKED_BACK, "recent": SILENT, "often": OFTEN}
        with self._database.transaction() as connection:
            rows = connection.execute(_TRADERS, values).fetchall()
        return Traders({row[0]: row[1] for row in rows}, rows[0][2] if rows else 0)

    def count(self) -> int:
        """Return how many trade no more."""
        with self._database.transaction() as connection:
            row = connection.execute("select count(*) from delisted_symbols").fetchone()
        return int(row[0]) if row else 0

    def declare(self, found: Sequence[tuple[Silence, str, date]]) -> list[str]:
        """Note that symbols trade no more; return those of whom that is new.

        Not of those that are being filled: the next look finds them.

        Args:
            found: each with the evidence, and the date on which it is asked about first.

        """
        declared: list[str] = []
        # In one order: two that write many symbols cannot wait for each other.
        left = iter(sorted(found, key=lambda one: one[0].symbol_id))
        while batch := list(islice(left, _AT_ONCE)):
            rows = [
                (one.symbol, one.symbol_id, one.since, one.last_bar_on, why, ask_on)
                for one, why, ask_on in batch
            ]
            columns = [list(column) for column in zip(*rows, strict=True)]
            declared += in_turn(self._database, partial(_declare, columns))
        return sorted(declared)

    def ask_some(self, most: int) -> list[str]:
        """Have those asked about that wait longest; return whom.

        Args:
            most: on one day, those that were begun and are not answered included.

        """

        def write(connection: Connection) -> list[str]:
            rows = connection.execute(_DUE, {"most": most}).fetchall()
            symbols = [str(row[0]) for row in rows]
            if symbols:
                connection.execute("select ask_delisted(%s)", (symbols,))
            return symbols

        return in_turn(self._database, write)

    def ask(self, symbols: Sequence[str], first: date) -> None:
        """Have those of some symbols that trade no more asked about now, from a day on."""
        in_turn(
            self._database,
            lambda connection: connection.execute(
                "select ask_delisted(%s, %s)", (list(symbols), first)
            ),
        )


def _declare(columns: Sequence[Sequence[object]], connection: Connection) -> list[str]:
    return [str(row[0]) for row in connection.execute(_DECLARE, columns)]


_DECLARE = """
select symbol from unnest(%s::text[], %s::uuid[], %s::date[], %s::date[], %s::text[], %s::date[])
  n (symbol, id, since, last_bar_on, evidence, ask_on)
 where declare_delisted(id, since, last_bar_on, evidence, ask_on)
"""
_DELISTED = """
select s.ticker, d.since, d.last_bar_on, d.evidence, d.asked_on, greatest(d.ask_on, market_today())
  from delisted_symbols d join symbols s on s.id = d.symbol_id
 where %(symbol)s::text is null or s.ticker = %(symbol)s order by s.ticker
"""
# An older trade was known to nobody's bars when the state was declared, and proves no more now.
_TRADED = """
select end_delisted(d.symbol_id)
  from delisted_symbols d join symbols s on s.id = d.symbol_id
  join unnest(%s::text[], %s::date[]) t (ticker, day) on t.ticker = s.ticker
 where t.day between greatest(d.since, d.declared_on) and market_today()
"""
# Most looks find that somebody has looked, and write nothing.
_TURN = """
insert into heartbeats as h (name, beat_at)
select 'delisted', market_now()
 where not exists (
   select from heartbeats
    where name = 'delisted' and beat_at between market_now() - interval '1 hour' and market_now()
      and (beat_at at time zone 'America/New_York')::date = market_today())
on conflict (name) do update set beat_at = excluded.beat_at
"""
_DAYS = """
with days as materialized (
  select day, row_number() over (order by day desc) as number from market_sessions
   where day < market_today() order by day desc limit %(back)s
)"""
# A bar, or what may have been one, and a session that was asked for and had none.
_ALIVE = "(c.bars > 0 or c.reason = 'rejected' or c.witness <> '{}')"
_EMPTY = """(c.state = 'final' and c.bars = 0 and c.answers > 0
   and c.reason not in ('plan_cut', 'rejected'))"""
# What is in doubt was asked again a day later, by what it waits for next.
_CONFIRMED = """(c.doubted_at is null or c.ask_again_at is null
   or c.ask_again_at > c.doubted_at + interval '1 day')"""
_SILENT = f"""{_DAYS}, quiet as materialized (
  select s.id, s.ticker, s.listed_on from symbols s
   cross join lateral (
     select coalesce(bool_or({_ALIVE}), false) as is_alive, bool_or({_EMPTY}) as is_empty
       from session_coverage c
      where c.symbol_id = s.id
        and c.day >= (select min(day) from days where number <= %(newest)s)) n
   where n.is_empty and not n.is_alive
     and not exists (select from delisted_symbols d where d.symbol_id = s.id)
)
select q.id, q.ticker, l.day, e.since, e.confirmed,
  (select t.listed_on from ticker_list t where q.listed_on < t.listed_on)
  from quiet q
 cross join lateral (
   select max(c.day) as day from session_coverage c where c.symbol_id = q.id and {_ALIVE}) l
 cross join lateral (
   select min(c.day) as since,
     coalesce(array_agg(c.day order by c.day) filter (
       where {_CONFIRMED} and c.day >= (select min(day) from days)), '{{}}') as confirmed
     from session_coverage c
    where c.symbol_id = q.id and c.day > coalesce(l.day, '-infinity') and {_EMPTY}) e
 -- A bar of today's provider stays where history has none.
 where not exists (
   select from ohlc_bars_v2 b
    where b.symbol_id = q.id and b.timeframe = 'm15' and b.ts >= new_york_midnight(e.since)
      and not b.is_forecast)
 order by q.ticker
"""  # noqa: S608 - constants
_TRADERS = f"""{_DAYS}, traded as materialized (
  select s.id, c.day, d.number from symbols s
   cross join lateral (
     select c.day from session_coverage c
      where c.symbol_id = s.id and c.bars > 0 and c.day >= (select min(day) from days)) c
   join days d on d.day = c.day
), witnesses as materialized (
  select id from traded where number <= %(recent)s group by id having count(*) >= %(often)s
)
select t.day, count(*), (select count(*) from witnesses)
  from traded t join witnesses w using (id) group by t.day
"""  # noqa: S608 - constants
# What somebody refuses for good is not asked about, and a question that nobody has answered for a
# week is lost. The rest of the day's questions, the longest due first.
_DUE = """
with open as (
  select symbol_id from delisted_symbols
   where opened_on = market_today()
      or (opened_on > asked_on and opened_on > market_today() - 7)
), chosen as (
  select d.symbol_id, s.ticker
    from delisted_symbols d join symbols s on s.id = d.symbol_id
   where d.ask_on <= market_today() and d.symbol_id not in (select symbol_id from open)
     and wanted_window(s.ticker) is not null
     and not exists (
       select from symbol_refusals f where f.symbol = s.ticker and f.final_at is not null)
   order by d.ask_on, d.symbol_id
   limit greatest(%(most)s - (select count(*) from open), 0)
)
update delisted_symbols d set opened_on = market_today()
  from chosen c where c.symbol_id = d.symbol_id
returning c.ticker
"""
