"""One connection for many transactions: each stands alone, and errors are the database's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from resources.postgres.database import Database

PID = "select pg_backend_pid()"
ADD = "insert into symbols (ticker) values (%s)"
TICKERS = "select ticker from symbols order by 1"


def add_and_fail(held: Database) -> None:
    with held.transaction() as sql:
        sql.execute(ADD, ("MSFT",))
        raise ZeroDivisionError


def test_transactions_of_a_held_database_share_a_connection_and_nothing_else(
    database: Database,
) -> None:
    with database.held() as held:
        with held.transaction() as sql:
            first = sql.execute(PID).fetchone()
            sql.execute(ADD, ("AAPL",))
        with database.connect() as other:
            assert other.execute(TICKERS).fetchall() == [("AAPL",)]
        with pytest.raises(ZeroDivisionError):
            add_and_fail(held)
        with pytest.raises(StorageError, match="duplicate key"), held.transaction() as sql:
            sql.execute(ADD, ("AAPL",))
        with held.transaction() as sql:
            assert sql.execute(PID).fetchone() == first
            assert sql.execute(TICKERS).fetchall() == [("AAPL",)]
    with pytest.raises(psycopg.OperationalError):
        sql.execute(PID)
    assert "postgresql" not in repr(held)


def test_a_held_connection_that_is_lost_is_said(database: Database) -> None:
    with database.held() as held, database.connect() as admin:
        with held.transaction() as sql:
            pid = sql.info.backend_pid
        admin.execute("select pg_terminate_backend(%s, 5000)", (pid,))
        with pytest.raises(StorageError, match="database: "), held.transaction() as sql:
            sql.execute(PID)
