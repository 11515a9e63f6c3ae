"""How many connections a server lets us have, held to how many a platform needs.

The need was counted on running platforms: peaks of 19 with two and with eight runs at once, the API
with few callers; its pool may take six more, and a web UI under use some. What belongs here: the
need and the limits. What does not: opening them (`connecting.py`), saying so
(`swiftbolt_assets/cli/doctor.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

#: What daemon, web UI, code location, API and a command hold, of the bars' and Dagster's database.
BARS, DAGSTER = 14, 10
#: What one run holds of each.
A_RUN = 2


@dataclass(frozen=True)
class Limit:
    """One limit on connections.

    Attributes:
        what: whose it is, for people.
        allowed: how many we may have, those of others left out.
        needed: how many we need within it.

    """

    what: str
    allowed: int
    needed: int

    @property
    def is_enough(self) -> bool:
        """Return whether a platform finds all that it needs."""
        return self.allowed >= self.needed


def needed(runs: int) -> tuple[int, int]:
    """Return how many connections the bars' and Dagster's database need for runs at once."""
    return BARS + A_RUN * runs, DAGSTER + A_RUN * runs


def limits(bars: Connection, dagster: Connection, runs: int) -> list[Limit]:
    """Return all limits that hold, of the server, of the role and of each database.

    Args:
        bars: a connection to the bars' database.
        dagster: one to Dagster's, maybe on another server or by another role.
        runs: at once.

    """
    needs = needed(runs)
    sides = list(zip((bars, dagster), needs, strict=True))
    found = [
        Limit(f"database {connection.info.dbname}", limit, need)
        for connection, need in sides
        if (limit := _one(connection, _DATABASE)) >= 0
    ]
    same_server = _one(bars, _SERVER_ID) == _one(dagster, _SERVER_ID)
    together = same_server and bars.info.user == dagster.info.user
    shared = [(bars, sum(needs))] if together else sides
    for connection, need in shared:
        if (limit := _one(connection, _ROLE)) >= 0:
            found.append(Limit(f"user {connection.info.user}", limit, need))
    for connection, need in [(bars, sum(needs))] if same_server else sides:
        found.append(Limit("the server", _one(connection, _SERVER), need))
    return found


def _one(connection: Connection, statement: str) -> Any:  # noqa: ANN401 - a number or an instant
    row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


_DATABASE = "select datconnlimit from pg_database where datname = current_database()"
_ROLE = """
select case when rolsuper then -1 else rolconnlimit end from pg_roles where rolname = session_user
"""
_SERVER_ID = "select pg_postmaster_start_time()"
# What a superuser or a privileged role has kept for itself is not ours, nor what others hold now.
_SERVER = """
select current_setting('max_connections')::integer
  - current_setting('superuser_reserved_connections')::integer
  - coalesce(current_setting('reserved_connections', true), '0')::integer
  - (select count(*) from pg_stat_activity
      where backend_type = 'client backend' and usename is distinct from session_user)::integer
"""
