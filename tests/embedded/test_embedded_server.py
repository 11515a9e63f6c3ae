"""The embedded server starts, answers to every driver, and stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import adbc_driver_postgresql.dbapi
import psycopg
import psycopg2
import pytest
import sqlalchemy

from resources.postgres.embedded import server as embedded
from resources.postgres.embedded.cluster import _processes
from resources.postgres.embedded.place import find
from swiftbolt_assets.errors import StorageError

pytestmark = pytest.mark.slow
Ask = Callable[[embedded.EmbeddedServer, str], object]


def test_a_fresh_home_gets_a_server_with_both_databases(home: Path, ask: Ask) -> None:
    server = embedded.start(home)
    assert embedded.is_running(home)
    assert server == embedded.locate(home)
    found = ask(server, "select string_agg(datname, ' ' order by datname) from pg_database")
    assert found == "postgres swiftbolt swiftbolt_dagster template0 template1"
    assert ask(server, "select current_user") == "swiftbolt"
    assert embedded.stop(home)
    assert not embedded.is_running(home)
    assert not embedded.stop(home)


def test_starting_again_keeps_the_same_server_and_stopping_keeps_the_rows(
    used: Path, ask: Ask
) -> None:
    server = embedded.start(used)
    ask(server, "create table kept as select 7 as number")
    since = ask(server, "select pg_postmaster_start_time()")
    assert embedded.start(used) == server
    assert ask(server, "select pg_postmaster_start_time()") == since
    embedded.stop(used)
    assert ask(embedded.start(used), "select number from kept") == 7


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("max_connections", "200"),
        ("random_page_cost", "1.1"),
        ("TimeZone", "UTC"),
        ("server_encoding", "UTF8"),
        ("lock_timeout", "0"),
        ("data_checksums", "on"),
    ],
)
def test_the_server_is_durable_private_and_speaks_utc(
    settings: dict[str, str], setting: str, value: str
) -> None:
    assert settings[setting] == value


@pytest.fixture(scope="module")
def settings(shared_home: Path) -> dict[str, str]:
    with psycopg.connect(embedded.start(shared_home).url("swiftbolt")) as connection:
        return dict(connection.execute("select name, setting from pg_settings").fetchall())


def test_text_sorts_by_code_point_in_every_database(used: Path, ask: Ask) -> None:
    server = embedded.start(used)
    query = "select distinct datlocprovider::text || datlocale from pg_database"
    assert ask(server, query) == "bC.UTF-8"


@pytest.mark.parametrize(
    "name",
    [
        """it's a "quoted" $HOME `id` \\ ünï 日本 🐘""",
        "a,b&host=%2Fetc?#+%20@",
        "long " + "x" * 150,
    ],
)
def test_every_driver_connects_whatever_the_path_of_the_home(public: Path, name: str) -> None:
    url = embedded.start(public / name).url("swiftbolt")
    with psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    older = psycopg2.connect(url)
    older.close()
    with adbc_driver_postgresql.dbapi.connect(url) as arrow, arrow.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)
    for driver in ("psycopg", "psycopg2"):
        engine = sqlalchemy.create_engine(url.replace("postgresql:", f"postgresql+{driver}:"))
        with engine.connect() as connection:
            assert connection.scalar(sqlalchemy.text("select current_database()")) == "swiftbolt"
        engine.dispose()


def test_a_database_of_another_major_version_is_refused_with_advice(used: Path) -> None:
    version = embedded.locate(used).data / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(StorageError, match=r"by Postgres 17.*carries 18.*pg_dumpall") as caught:
        embedded.start(used)
    version.write_text("18\n")
    assert "\n" not in str(caught.value)


def test_a_broken_setting_is_reported_by_its_line_in_the_log(used: Path) -> None:
    settings = embedded.locate(used).data / "postgresql.conf"
    right = settings.read_text()
    settings.write_text(f"{right}shared_buffers = 'plenty'\n")
    with pytest.raises(StorageError, match=r"did not start: .*server\.log\)$") as caught:
        embedded.start(used)
    settings.write_text(right)
    assert "\n" not in str(caught.value)


def test_the_log_is_cut_when_it_has_grown(used: Path) -> None:
    server = embedded.start(used)
    embedded.stop(used)
    server.log.write_bytes(b"x" * 1_000_001)
    embedded.start(used)
    assert server.log.stat().st_size < 10_000
    assert server.log.with_name("server.log.1").stat().st_size == 1_000_001


def test_the_server_sees_no_keys_and_no_postgres_variables(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", "fake-key")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    server = embedded.start(used)
    assert server.data.exists()
    assert Path(server.sockets, ".s.PGSQL.5432").is_socket()
    for pid in _processes(find(used)):
        environment = Path(f"/proc/{pid}/environ")
        if environment.exists():  # Linux
            assert b"fake-key" not in environment.read_bytes()


def test_one_home_s_server_is_never_taken_for_another_s(used: Path, public: Path) -> None:
    embedded.start(used)
    embedded.start(public / "home")
    assert embedded.stop(used)
    assert embedded.is_running(public / "home")
