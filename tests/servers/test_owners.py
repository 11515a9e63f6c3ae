"""Owners that are no superusers: what they may give themselves they take, the rest is named."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest

from resources.postgres.callers import AUTHENTICATED, SERVICE, Caller, CallerPool
from resources.postgres.database import Database
from resources.schema import Migrated, migrate
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.orchestration.instance import prepare_dagster
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIRST = date(2026, 10, 1)
PERSON = UUID("00000000-0000-0000-0000-0000000000aa")
AUTH = (
    "create schema auth",
    "create table auth.users (id uuid primary key, email text not null default '')",
    """create function auth.uid() returns uuid language sql stable as
       'select current_setting(''request.jwt.claim.sub'', true)::uuid'""",
    "revoke all on schema auth from public",
    "revoke all on function auth.uid() from public",
)
CRON = (
    "create schema cron",
    "create table cron.job (jobid bigint, jobname text, schedule text, active boolean)",
)
ROLES = tuple(f"create role {name} nologin" for name in ("anon", "authenticated", "service_role"))


def bring(url: str) -> Migrated:
    return migrate(Database(url, timedelta(0)), FIRST)


def acts_as(url: str, role: str) -> str:
    with (
        closing(CallerPool(Database(url, timedelta(0)))) as pool,
        pool.transaction(Caller(role, PERSON)) as connection,
    ):
        row = connection.execute("select current_user, count(*) from symbols").fetchone()
    assert row is not None
    return str(row[0])


def test_an_owner_without_superuser_takes_what_it_needs_to_serve_callers(server: Any) -> None:
    url = server.managed()
    assert bring(url).before is None
    assert acts_as(url, AUTHENTICATED) == AUTHENTICATED
    assert acts_as(url, SERVICE) == SERVICE
    assert bring(url).partitions_added == 0


def test_a_database_whose_owner_lost_its_grants_says_so_and_migrate_mends_it(
    server: Any, rows: Callable[..., Any]
) -> None:
    url = server.managed()
    bring(url)
    rows(url, "revoke authenticated from current_user granted by current_user")
    with pytest.raises(StorageError, match="run swiftbolt migrate"):
        acts_as(url, AUTHENTICATED)
    bring(url)
    assert acts_as(url, AUTHENTICATED) == AUTHENTICATED


@pytest.mark.parametrize(
    ("attributes", "before", "named"),
    [
        (("createdb",), (), "create role anon nologin"),
        (("createdb", "createrole"), ROLES, "grant anon, authenticated, service_role to"),
        (("createdb",), ROLES, "grant anon, authenticated, service_role to"),
        (("createdb", "createrole"), AUTH, "grant usage on schema auth to"),
        (("createdb", "createrole"), (*AUTH, "grant usage on schema auth to {owner}"), "users to"),
        (("createdb", "createrole"), ("create schema auth",), "usage, create on schema auth"),
        (
            ("createdb", "createrole"),
            ("alter database {owner} owner to postgres",),
            "grant create on database {owner} to {owner}; grant usage, create on schema public",
        ),
        (
            ("createdb", "createrole"),
            (*ROLES, "revoke usage on schema public from public"),
            "grant anon, authenticated, service_role to",
        ),
        (
            ("createdb", "createrole"),
            (
                "alter database {owner} owner to postgres",
                "revoke all on database {owner} from public",
                "grant connect, create on database {owner} to {owner}",
                "grant usage, create on schema public to {owner}",
            ),
            "run there: grant temporary on database {owner} to {owner};",
        ),
        (
            ("createdb", "createrole"),
            ("revoke usage on language plpgsql, sql from public",),
            "grant usage on language sql to {owner}; grant usage on language plpgsql to {owner};",
        ),
        (
            ("createdb", "createrole"),
            ("drop extension plpgsql", "revoke create on database {owner} from {owner}"),
            "create extension plpgsql;",
        ),
        (
            ("createdb", "createrole"),
            (*AUTH[:2], "create function auth.uid(int) returns text language sql as 'select $1'"),
            "grant usage, create on schema auth to {owner}",
        ),
    ],
    ids=(
        "no right to make roles",
        "roles of somebody else",
        "roles of somebody else and no right to make any",
        "schema auth of somebody else",
        "schema auth that it may use and no more",
        "an empty schema auth of somebody else",
        "a database of somebody else",
        "roles of somebody else and a schema public that is closed",
        "a database of somebody else without temporary tables",
        "languages that nobody may use",
        "a language that is missing",
        "a schema auth whose function uid is another one",
    ),
)  # fmt: skip
def test_a_right_that_is_missing_is_named_and_once_given_all_goes_on(
    server: Any, attributes: tuple[str, ...], before: tuple[str, ...], named: str
) -> None:
    url = server.managed(*attributes)
    owner = url.rpartition("/")[2]
    server.run(*(statement.format(owner=owner) for statement in before), database=owner)
    with pytest.raises(StorageError) as caught:
        bring(url)
    line = str(caught.value)
    assert "\n" not in line
    assert named.format(owner=owner) in line
    _, _, statements = line.partition("run there: ")
    server.run(*filter(None, statements.split(";")), database=owner)
    bring(url)
    assert acts_as(url, AUTHENTICATED) == AUTHENTICATED


def test_a_schema_cron_of_somebody_else_is_neither_needed_nor_touched(
    server: Any, rows: Callable[..., Any]
) -> None:
    url = server.managed()
    owner = url.rpartition("/")[2]
    server.run(*CRON, database=owner)
    bring(url)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(url, "select * from cron.job")
    assert rows(server.url(database=owner), "select count(*) from cron.job") == [(0,)]


def test_a_database_that_cannot_hold_every_text_is_refused(server: Any) -> None:
    url = server.managed()
    owner = url.rpartition("/")[2]
    server.run(f"create database narrow encoding 'LATIN1' template template0 owner {owner}")
    with pytest.raises(StorageError, match="encoding is LATIN1; create it with encoding 'UTF8'"):
        bring(server.url(owner, "narrow"))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (("create table auth.users (id bigint primary key)",), "no primary key id of type uuid"),
        (("create table auth.users (id uuid)",), "no primary key id of type uuid"),
        (
            ("create table auth.users (id uuid, realm int, primary key (id, realm))",),
            "no primary key id of type uuid",
        ),
        (
            ("create view auth.users as select gen_random_uuid() as id",),
            "no primary key id of type uuid",
        ),
        (
            (AUTH[1], "create function auth.uid() returns text language sql as 'select null'"),
            "auth.uid() returns no uuid",
        ),
    ],
    ids=("numbers", "no key", "a key of two", "a view", "a caller in words"),
)
def test_a_schema_auth_of_another_kind_of_users_is_refused_before_anything_is_changed(
    server: Any, rows: Callable[..., Any], made: tuple[str, ...], told: str
) -> None:
    url = server.managed()
    server.run(AUTH[0], *made, database=url.rpartition("/")[2])
    with pytest.raises(StorageError, match=r"its schema auth is another application's") as caught:
        bring(url)
    assert told in str(caught.value)
    assert str(caught.value).endswith("; use a database of its own")
    assert rows(url, "select from pg_roles where rolname = 'anon'") == []


@pytest.mark.parametrize("revision", ["ae1027a6acf", "0007"])
@pytest.mark.parametrize("whose", ["own", "somebody else's"])
def test_a_database_with_another_applications_revision_is_refused_and_left_alone(
    server: Any, rows: Callable[..., Any], revision: str, whose: str
) -> None:
    url = server.managed()
    maker = url if whose == "own" else server.url(database=url.rpartition("/")[2])
    rows(maker, "create table alembic_version (version_num text)")
    rows(maker, "insert into alembic_version values (%s)", revision)
    with pytest.raises(StorageError, match=r"^SWIFTBOLT_DATABASE_URL: this database is another"):
        bring(url)
    assert rows(
        url, "select relname from pg_class where relnamespace = 'public'::regnamespace"
    ) == [("alembic_version",)]


def test_a_database_with_another_applications_tables_is_refused_with_what_to_do(
    server: Any, rows: Callable[..., Any]
) -> None:
    url = server.managed()
    rows(url, "create table symbols (name text)")
    with pytest.raises(
        StorageError, match=r"symbols.*; another application made it, use a databas"
    ):
        bring(url)


def test_the_bars_database_is_no_place_for_dagsters_tables(server: Any, tmp_path: Path) -> None:
    url = server.managed()
    bring(url)
    settings = read_settings(
        {
            "SWIFTBOLT_HOME": str(tmp_path),
            "SWIFTBOLT_DATABASE_URL": url,
            "SWIFTBOLT_DAGSTER_URL": url,
        }
    )
    with pytest.raises(StorageError, match=r"^SWIFTBOLT_DAGSTER_URL: this database is another"):
        prepare_dagster(settings, Database(url, timedelta(0)))
