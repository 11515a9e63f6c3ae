"""A person's watchlists: lists of symbols, each the person's own by row-level security.

What belongs here: statements about `watchlists` and `watchlist_items`, on a caller's connection.
What does not: interest (`tracking.py`), which a watchlist's symbols have, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from resources.postgres.callers import Connection

_NAME = "Watchlist"
#: As many as a person may put on all lists.
MOST_ITEMS = 50


@dataclass(frozen=True)
class Item:
    """A symbol on a watchlist.

    Attributes:
        symbol: canonical ticker.
        added_at: when.
        last_price: close of its newest 4-hour bar, None without bars.
        daily_volume: mean shares a session over all stored sessions, None without.
        daily_volume_10: over the last ten.
        last_price_10: mean close of the last ten sessions.
        last_price_all: mean close of all.

    """

    symbol: str
    added_at: datetime
    last_price: float | None
    daily_volume: float | None
    daily_volume_10: float | None
    last_price_10: float | None
    last_price_all: float | None


def own_watchlist(connection: Connection, user: UUID) -> UUID:
    """Return a person's oldest watchlist, made when there is none."""
    row = connection.execute(_OLDEST, (user,)).fetchone()
    if row is None:
        # Two first calls at once would make two lists, and show what is on one of them.
        connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('first watchlist ' || %s::text, 0))",
            (user,),
        )
        row = connection.execute(_OLDEST, (user,)).fetchone()
    if row is None:
        row = connection.execute(
            "insert into watchlists (user_id, name) values (%s, %s) returning id", (user, _NAME)
        ).fetchone()
    return UUID(str(row[0])) if row else UUID(int=0)


def is_visible(connection: Connection, watchlist: UUID) -> bool:
    """Return whether a watchlist is one of the caller's."""
    row = connection.execute("select from watchlists where id = %s", (watchlist,)).fetchone()
    return row is not None


def holds(connection: Connection, watchlist: UUID, symbol: str) -> bool:
    """Return whether a symbol is on a watchlist."""
    row = connection.execute(
        "select from watchlist_items where watchlist_id = %s"
        " and symbol_id = (select id from symbols where ticker = %s)",
        (watchlist, symbol),
    ).fetchone()
    return row is not None


def add_item(connection: Connection, watchlist: UUID, symbol: str) -> None:
    """Put a known symbol on a watchlist.

    Raises:
        psycopg.errors.CheckViolation: the person's watchlists are full.

    """
    connection.execute(
        "insert into watchlist_items (watchlist_id, symbol_id)"
        " select %s, id from symbols where ticker = %s on conflict do nothing",
        (watchlist, symbol),
    )


def remove_item(connection: Connection, user: UUID, watchlist: UUID, symbol: str) -> bool:
    """Take a symbol off; return whether it was on. The interest in it ends with its last list."""
    removed = connection.execute(
        "delete from watchlist_items where watchlist_id = %s"
        " and symbol_id = (select id from symbols where ticker = %s)",
        (watchlist, symbol),
    ).rowcount
    forgotten = connection.execute(_FORGET, {"user": user, "symbol": symbol}).rowcount
    return removed > 0 or forgotten > 0


def items(connection: Connection, watchlist: UUID) -> Sequence[Item]:
    """Return what is on a watchlist, in the order in which it came; `MOST_ITEMS` at most.

    A person's oldest watchlist shows what was tracked as `watchlist` in other ways, too.
    """
    return [
        Item(*row)
        for row in connection.execute(
            _ITEMS, {"watchlist": watchlist, "most": MOST_ITEMS}
        ).fetchall()
    ]


def listed(connection: Connection, user: UUID) -> list[str]:
    """Return the tickers on all watchlists of a person, ascending, none twice.

    What was tracked as `watchlist` in other ways counts, too.
    """
    rows = connection.execute(_LISTED, {"user": user}).fetchall()
    return [str(row[0]) for row in rows]


_LISTED = """
select s.ticker from symbols s
 where s.id in (
   select i.symbol_id from watchlists w join watchlist_items i on i.watchlist_id = w.id
    where w.user_id = %(user)s
   union all
   select symbol_id from user_symbol_tracking where user_id = %(user)s and source = 'watchlist')
 order by s.ticker
"""
_OLDEST = "select id from watchlists where user_id = %s order by created_at, id limit 1"
_FORGET = """
delete from user_symbol_tracking t using symbols s
 where t.user_id = %(user)s and t.source = 'watchlist' and s.id = t.symbol_id
   and s.ticker = %(symbol)s
   and not exists (
     select from watchlist_items i join watchlists w on w.id = i.watchlist_id
      where w.user_id = %(user)s and i.symbol_id = t.symbol_id)
"""
# Two 4-hour bars a session: the shortest way to a day's volume and close.
_ITEMS = """
with owner as (
  select w.user_id, not exists (
      select from watchlists o
       where o.user_id = w.user_id and (o.created_at, o.id) < (w.created_at, w.id)) as is_oldest
    from watchlists w where w.id = %(watchlist)s
), listed as (
  select symbol_id, added_at, true as is_item from watchlist_items
   where watchlist_id = %(watchlist)s
  union all
  select t.symbol_id, t.created_at, false
    from owner o join user_symbol_tracking t on t.user_id = o.user_id and t.source = 'watchlist'
   where o.is_oldest and not exists (
     select from watchlist_items i join watchlists w on w.id = i.watchlist_id
      where w.user_id = o.user_id and i.symbol_id = t.symbol_id)
   order by is_item desc, added_at
   limit %(most)s
)
select s.ticker, i.added_at, d.last_price, d.volume_all, d.volume_10, d.close_10, d.close_all
  from listed i
  join symbols s on s.id = i.symbol_id
  cross join lateral (
    select max(close) filter (where newest = 1) as last_price,
      avg(volume) as volume_all, avg(volume) filter (where newest <= 10) as volume_10,
      avg(close) filter (where newest <= 10) as close_10, avg(close) as close_all
      from (
        select sum(c.volume) as volume, (array_agg(c.close order by c.ts desc))[1] as close,
          row_number() over (order by min(c.ts) desc) as newest
          from get_chart_data_v2(s.id, 'h4', null, new_york_midnight(market_today() + 1)) c
         where not c.is_forecast
         group by (c.ts::timestamptz at time zone 'America/New_York')::date) days
  ) d
 order by i.added_at, s.ticker
"""
