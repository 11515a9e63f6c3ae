"""How many connections a server lets us have, held to how many a platform needs.

The need was counted on running platforms: peaks of 19 with two and with eight runs at once, the API
with few callers; its pool may take six more, and a web UI under use some. What belongs here: the
need and the limits. What does not: opening connections (`connection.py`), saying so
(`swiftbolt_assets/cli/commands/doctor.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import psycopg

#: What daemon, web UI, code location, API and a command hold, of the bars' and Dagster's database.
BARS, DAGSTER = 14, 10
#: What one run holds of each.
A_RUN = 2


@dataclass(frozen=True)
class Allowed:
    """What a server lets one of its users have of one of its databases.

    Attributes:
        server: since when it runs, which tells it from others.
        user, database: their names.
        of_database, of_user: their own limits, -1 without one.
        of_server: the server's, less what it keeps for others and what others hold now.

    """

    server: datetime
    user: str
    database: str
    of_database: int
    of_user: int
    of_server: int


@dataclass(frozen=True)
class Limit:
    """One limit on connections.

    Attributes:
        whose: of what it is, for people.
        allowed: how many we may have.
        needed: how many we need within it.

    """

    whose: str
    allowed: int
    needed: int

    @property
    def is_enough(self) -> bool:
        """Return whether a platform finds all that it needs."""
        return self.allowed >= self.needed


def needed(runs: int) -> tuple[int, int]:
    """Return how many connections the bars' and Dagster's database need for runs at once."""
    return BARS + A_RUN * runs, DAGSTER + A_RUN * runs


def allowed(connection: psycopg.Connection[tuple[Any, ...]]) -> Allowed:
    """Return what the server lets this connection's user have of its database."""
    row = connection.execute(_ALLOWED).fetchone()
    assert row is not None  # noqa: S101 - it selects one row of constants
    return Allowed(*row)


def limits(bars: Allowed, dagster: Allowed, runs: int) -> Iterator[Limit]:
    """Yield all limits that hold, of each database, the user and the server.

    Args:
        bars: of the bars' database.
        dagster: of Dagster's, maybe on another server or of another user.
        runs: at once.

    """
    sides = list(zip((bars, dagster), needed(runs), strict=True))
    together = [(bars, sum(needed(runs)))]
    is_one_server = bars.server == dagster.server
    is_one_user = is_one_server and bars.user == dagster.user
    for one, need in sides:
        if one.of_database >= 0:
            yield Limit(f"database {one.database}", one.of_database, need)
    for one, need in together if is_one_user else sides:
        if one.of_user >= 0:
            yield Limit(f"user {one.user}", one.of_user, need)
    for one, need in together if is_one_server else sides:
        yield Limit("the server", one.of_server, need)


# What others hold is not ours; a limit does not bind a superuser.
_ALLOWED = """
select pg_postmaster_start_time(), session_user::text, current_database()::text, d.datconnlimit,
  case when r.rolsuper then -1 else r.rolconnlimit end,
  current_setting('max_connections')::integer
  - current_setting('superuser_reserved_connections')::integer
  - coalesce(current_setting('reserved_connections', true), '0')::integer
  - (select count(*) from pg_stat_activity
      where backend_type = 'client backend' and usename is distinct from session_user)::integer
  from pg_database d cross join pg_roles r
 where d.datname = current_database() and r.rolname = session_user
"""
