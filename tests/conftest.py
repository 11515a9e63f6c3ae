"""What all tests share: a real Postgres, started once per test process, and fresh databases."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from resources import embedded
from resources.postgres import Database, sibling_database
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DATE = date(2024, 1, 2)
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an embedded server; the URL of a migrated database that others are copied from."""
    home = tmp_path_factory.mktemp("postgres")
    server = embedded.start(home)
    try:
        url = server.url("swiftbolt")
        migrate(Database(url, timedelta(0)), FIRST_DATE)
        yield url
    finally:
        embedded.stop(home)
        embedded.erase(home)


@pytest.fixture
def database_url(postgres_server: str) -> Iterator[str]:
    """Return the URL of a database of its own with the newest schema."""
    name = f"test_{next(_numbers)}"
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template swiftbolt")
    url = postgres_server.replace("/swiftbolt?", f"/{name}?")
    yield url
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def database(database_url: str) -> Database:
    """Return a migrated database of its own, on real time."""
    return Database(database_url, timedelta(0))
