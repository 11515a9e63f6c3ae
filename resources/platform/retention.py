"""Keeps the bars' database small: old audit rows go, closed months are laid in order, sizes noted.

Never touched are bars, the ledger `session_coverage`, `finalizations` (a row a symbol and session),
open and failed slices, and the newest of what may be asked for. Deleted are, once old: requests,
slices that are done, certificates that a newer one followed, rejections that were repeated. What
belongs here: statements. What does not: how old (`policy/retention.py`), Dagster's database
(`dagster_history.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from resources.postgres.connection import first_line
from resources.providers.registry import TODAY
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.policy.retention import LIVE_REQUESTS, Month

if TYPE_CHECKING:
    from resources.postgres.database import Database

_PREFIX = "ohlc_bars_v2_"
#: Readers queue behind whoever waits for the table: not for longer than this.
_LOCK_WAIT = "2s"
_SIZES_KEPT = timedelta(days=400)


@dataclass(frozen=True)
class Growth:
    """How big the two databases are, and how fast they grow.

    Attributes:
        bars_bytes, dagster_bytes: sizes now.
        days: between the oldest size within 30 days and now; 0 before the first.
        bars_a_day, dagster_a_day: bytes, over these days; 0 before the first.

    """

    bars_bytes: int
    dagster_bytes: int
    days: float
    bars_a_day: float
    dagster_a_day: float


class Retention:
    """The bars' side of keeping an installation small."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def age(self) -> timedelta:
        """Return how long ago old rows were pruned, in real time.

        Raises:
            StorageError: the database does not answer.

        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "select clock_timestamp() - beat_at from heartbeats where name = 'retention'"
            ).fetchone()
        age: timedelta = row[0] if row else timedelta.max
        return age

    def prune(self, now: datetime, keep: timedelta) -> dict[str, int]:
        """Delete what is older than `keep`; return how many rows of each table went."""
        ages = {"before": now - keep, "live_before": now - min(keep, LIVE_REQUESTS)}
        values = {**ages, "live": TODAY.name}
        with self._database.transaction() as connection:
            return {
                table: connection.execute(statement, values).rowcount
                for table, statement in _PRUNED.items()
            }

    def months(self) -> list[Month]:
        """Return the months of bars that were never laid in order."""
        with self._database.transaction() as connection:
            rows = connection.execute(_MONTHS).fetchall()
        return [
            Month(datetime.strptime(name, f"{_PREFIX}%Y_%m").replace(tzinfo=UTC).date(), count)
            for name, count in rows
        ]

    def lay_in_order(self, month: date) -> float | None:
        """Lay a month's bars by symbol, timeframe and time; return the seconds it took.

        Readers of this month wait meanwhile. None: it is in use, come again another day.

        Raises:
            StorageError: the server refuses, for want of room, say; the month is as it was.

        """
        name = f"{_PREFIX}{month:%Y_%m}"
        table, key = sql.Identifier(name), sql.Identifier(f"{name}_pkey")
        began = datetime.now(UTC)
        connection = self._database.connect()
        try:
            connection.execute(sql.SQL("set lock_timeout = {}").format(_LOCK_WAIT))
            connection.execute(sql.SQL("cluster {} using {}").format(table, key))
            took = (datetime.now(UTC) - began).total_seconds()
            connection.execute(sql.SQL("vacuum (analyze) {}").format(table))
        except psycopg.errors.LockNotAvailable:
            return None
        except psycopg.Error as error:
            raise StorageError(f"database: {first_line(error)}") from error
        finally:
            connection.close()
        return took

    def note(self, dagster_bytes: int, now: datetime) -> None:
        """Note both sizes, and that old rows were pruned."""
        with self._database.transaction() as connection:
            connection.execute(
                "insert into database_sizes (measured_at, bars_bytes, dagster_bytes)"
                " values (%s, pg_database_size(current_database()), %s)"
                " on conflict (measured_at) do nothing",
                (now, dagster_bytes),
            )
            connection.execute(
                "delete from database_sizes where measured_at < %s", (now - _SIZES_KEPT,)
            )
            connection.execute(
                "insert into heartbeats values ('retention', clock_timestamp())"
                " on conflict (name) do update set beat_at = excluded.beat_at"
            )

    def growth(self, dagster_bytes: int) -> Growth:
        """Return sizes now and growth a day, against the oldest size within 30 days."""
        with self._database.transaction() as connection:
            row = connection.execute(_GROWTH).fetchone()
        bars, days, bars_then, dagster_then = row or (0, None, 0, 0)
        if not days:
            return Growth(bars, dagster_bytes, 0.0, 0.0, 0.0)
        bars_a_day, dagster_a_day = (bars - bars_then) / days, (dagster_bytes - dagster_then) / days
        return Growth(bars, dagster_bytes, days, bars_a_day, dagster_a_day)


_PRUNED = {
    "provider_requests": (
        "delete from provider_requests"
        " where sent_at < case provider when %(live)s then %(live_before)s else %(before)s end"
    ),
    "job_runs": (
        "delete from job_runs where status in ('success', 'cancelled')"
        " and coalesce(finished_at, updated_at) < %(before)s"
    ),
    "certificates": """
        delete from certificates c where verified_at < %(before)s and exists (
          select from certificates n where n.symbol_id = c.symbol_id and n.id > c.id)
    """,
    "rejected_bars": """
        delete from rejected_bars r where rejected_at < %(before)s and exists (
          select from rejected_bars n
           where n.symbol_id = r.symbol_id and n.ts = r.ts and n.rule = r.rule and n.id > r.id)
    """,
}
# What CLUSTER has done once is marked on the index it went by.
_MONTHS = """
select c.relname::text, greatest(c.reltuples, 0)::bigint
  from pg_inherits i
  join pg_class c on c.oid = i.inhrelid
  join pg_index x on x.indrelid = c.oid and x.indisprimary and not x.indisclustered
 where i.inhparent = 'ohlc_bars_v2'::regclass and c.relname ~ '^ohlc_bars_v2_[0-9]{4}_[0-9]{2}$'
"""
# Less than half a day says nothing about a day.
_GROWTH = """
select pg_database_size(current_database()),
  (extract(epoch from clock_timestamp() - s.measured_at) / 86400)::float8,
  s.bars_bytes, s.dagster_bytes
  from (select) one
  left join lateral (
    select * from database_sizes
     where measured_at > clock_timestamp() - interval '30 days'
       and measured_at < clock_timestamp() - interval '12 hours'
     order by measured_at limit 1) s on true
"""
