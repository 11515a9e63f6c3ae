"""Connections for callers of the API, each transaction with no more rights than its caller has.

A person's transaction runs as the role `authenticated` with the person's id as claim, so that
row-level security itself holds them apart; the operator's runs as `service_role`. What the platform
does on its own runs as the owner.

What belongs here: the pool and the roles. What does not: who a caller is
(`swiftbolt_assets/api/auth.py`), and what is asked.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from resources.postgres.connection import CONNECT_TIMEOUT_S, NAME, begin, first_line
from swiftbolt_assets.errors import ConfigurationError, RefusedError, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from uuid import UUID

    from resources.postgres.database import Database

    Connection = psycopg.Connection[tuple[Any, ...]]

AUTHENTICATED, SERVICE = "authenticated", "service_role"
#: An open page asks for coverage and bars at once.
_LEAST_CONNECTIONS = 2
#: More connections than cores work at once do not make two cores faster.
_MOST_CONNECTIONS = 8
#: A request waits so long for a connection, and a statement runs so long at most.
_WAIT_S = 5.0
_STATEMENT_S = 10.0


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        role: the database role of the transaction.
        user_id: whose rows are the caller's own.

    """

    role: str
    user_id: UUID

    @property
    def is_service(self) -> bool:
        """Return whether it is the operator."""
        return self.role == SERVICE


class CallerPool:
    """A pool of connections to the bars' database; close it.

    Args:
        database: where the bars live.

    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._trouble: str | None = None
        self._pool = ConnectionPool(
            database.url,
            kwargs={"application_name": NAME, "connect_timeout": CONNECT_TIMEOUT_S},
            min_size=_LEAST_CONNECTIONS,
            max_size=_MOST_CONNECTIONS,
            timeout=_WAIT_S,
            configure=self._begin,
            # The server may have been restarted since a connection was used last.
            check=ConnectionPool.check_connection,
            reconnect_timeout=_WAIT_S,
            open=True,
        )

    @contextmanager
    def transaction(self, caller: Caller | None = None) -> Iterator[Connection]:
        """Run one transaction with a caller's rights; as the owner without one.

        Raises:
            StorageError: the database does not answer in time, or refuses the work.
            UsageError: a value is one that the database refuses.
            RefusedError: the caller may not do that.

        """
        try:
            with self._pool.connection() as connection:
                _act_as(connection, caller)
                yield connection
        except PoolTimeout as error:
            reason = self._trouble or "no answer in time; try again in a moment"
            raise StorageError(f"database: {reason}") from error
        except psycopg.Error as error:
            raise _phrased(error) from error

    def acting_for(self, caller: Caller) -> ActingFor:
        """Return what opens transactions with a caller's rights."""
        return ActingFor(self, caller)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close(timeout=1.0)

    def _begin(self, connection: Connection) -> None:
        """Begin a session, and have it plan the chart's statement, so that no reader waits for it.

        It plans its first five charts anew, over dozens of months, before it keeps a plan: that
        takes as long as the bars themselves, and its first time ten times as long.
        """
        try:
            connection.autocommit = True
            begin(connection, self._database.url, self._database.clock_offset)
            connection.execute(_WARMING)
            connection.autocommit = False
        except (psycopg.Error, ConfigurationError) as error:
            # The pool only logs it and tries again.
            self._trouble = first_line(error)
            raise
        self._trouble = None


@dataclass(frozen=True)
class ActingFor:
    """Transactions with the rights of one caller."""

    pool: CallerPool
    caller: Caller

    def transaction(self) -> AbstractContextManager[Connection]:
        """Run one transaction."""
        return self.pool.transaction(self.caller)


def _act_as(connection: Connection, caller: Caller | None) -> None:
    """Begin the transaction with a caller's rights.

    Raises:
        StorageError: the owner may not act as the caller's role.

    """
    try:
        connection.execute(_SETUP, _rights(caller))
    except psycopg.errors.InsufficientPrivilege as error:
        raise StorageError(
            f"database: {first_line(error)}; run swiftbolt migrate, which grants it or says who can"
        ) from error


def _rights(caller: Caller | None) -> dict[str, str]:
    claims = {"sub": str(caller.user_id), "role": caller.role} if caller else None
    return {
        "role": caller.role if caller else "none",
        "claims": json.dumps(claims) if claims else "",
        "limit": f"{_STATEMENT_S * 1000:.0f}",
    }


def _phrased(error: psycopg.Error) -> Exception:
    """Return an error of the tree: what a caller caused names itself, the rest is the server's."""
    line = first_line(error)
    if isinstance(error, psycopg.errors.InvalidParameterValue | psycopg.errors.CheckViolation):
        return UsageError(line)
    if isinstance(
        error,
        psycopg.errors.InsufficientPrivilege | psycopg.errors.InvalidAuthorizationSpecification,
    ):
        return RefusedError(line)
    return StorageError(f"database: {line}")


# All of it ends with the transaction.
_SETUP = """
select set_config('role', %(role)s, true), set_config('request.jwt.claims', %(claims)s, true),
  set_config('statement_timeout', %(limit)s, true)
"""
_WARMING = """
select count(*) from generate_series(1, 6) n cross join lateral get_chart_bars(
  '00000000-0000-0000-0000-000000000000', 'h1', now() - n * interval '100 days', now(), true, 50000)
"""
