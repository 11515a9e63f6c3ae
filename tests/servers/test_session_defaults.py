"""What a database or a role sets by default changes nothing: each connection sets what it needs."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.callers import CallerPool
from resources.postgres.connection import RELIED_ON, connect_to_listen
from resources.postgres.database import Database
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

#: Another value for everything that connections rely on.
HOSTILE = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kolkata",
    "client_encoding": "LATIN1",
    "search_path": "pg_temp",
    "bytea_output": "escape",
    "extra_float_digits": "-10",
    "array_nulls": "off",
    "standard_conforming_strings": "off",
    "row_security": "off",
    "statement_timeout": "700ms",
    "lock_timeout": "20ms",
    "idle_in_transaction_session_timeout": "200ms",
    "idle_session_timeout": "1s",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
}


@pytest.fixture
def hostile(server: Any) -> str:
    """Return the URL of an owner without superuser whose database has all defaults turned."""
    url = server.managed()
    owner = url.rpartition("/")[2]
    server.run(
        *(f"alter database {owner} set {name} = '{value}'" for name, value in HOSTILE.items())
    )
    return url


def by_pool(database: Database, question: str) -> list[Any]:
    migrate(database, date(2026, 11, 1))
    with closing(CallerPool(database)) as pool, pool.transaction() as connection:
        return connection.execute(question.encode()).fetchall()


def by_listener(database: Database, question: str) -> list[Any]:
    async def ask() -> list[Any]:
        connection = await connect_to_listen(database.url, database.clock_offset)
        async with connection:
            cursor = await connection.execute(question.encode())
            return await cursor.fetchall()

    return asyncio.run(ask())


def by_dagster(database: Database, question: str) -> list[Any]:
    import sqlalchemy

    from swiftbolt_assets.dagster_private.storage import PooledPostgresStorage

    storage = PooledPostgresStorage(
        database.url.replace("postgresql://", "postgresql+psycopg2://"),
        should_autocreate_tables=False,
    )
    with storage.run_storage.connect() as connection:
        return list(connection.execute(sqlalchemy.text(question)))


def by_transaction(database: Database, question: str) -> list[Any]:
    with database.transaction() as connection:
        return connection.execute(question.encode()).fetchall()


@pytest.mark.parametrize("way", [by_transaction, by_pool, by_listener, by_dagster])
def test_every_kind_of_connection_has_what_statements_rely_on(
    hostile: str, way: Callable[[Database, str], list[Any]]
) -> None:
    names = ", ".join(f"'{name}'" for name in RELIED_ON)
    question = f"select name, setting from pg_settings where name in ({names})"
    found = dict(map(tuple, way(Database(hostile, timedelta(0)), question)))
    limits = {"statement_timeout"} if way in (by_pool, by_dagster) else set()
    assert set(found) == set(RELIED_ON) == set(HOSTILE)
    assert {name: found[name] for name in RELIED_ON if name not in limits} == {
        name: value for name, value in RELIED_ON.items() if name not in limits
    }
    assert all(int(found[name]) >= 10_000 for name in limits)


def test_a_read_only_default_is_the_servers_own_word_and_stays(
    server: Any, rows: Callable[..., Any]
) -> None:
    url = server.managed()
    server.run(f"alter role {url.rpartition('/')[2]} set default_transaction_read_only = on")
    found = by_transaction(Database(url, timedelta(0)), "show transaction_read_only")
    assert found == [("on",)] == rows(url, "show transaction_read_only")


def test_a_role_that_reads_no_views_by_default_is_served(postgres_18: Any) -> None:
    url = postgres_18.managed()
    owner = url.rpartition("/")[2]
    postgres_18.run(f"alter role {owner} set restrict_nonsystem_relation_kind = 'view'")
    question = "select count(*) > 0 from wanted_symbols"
    assert by_pool(Database(url, timedelta(0)), question) == [(True,)]
    assert by_transaction(Database(url, timedelta(0)), question) == [(True,)]
    postgres_18.clear()
