"""A pooler in transaction mode is refused in one line; in session mode all works."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.connection import connect
from resources.postgres.database import Database
from resources.postgres.embedded.account import own_account, system_account
from resources.schema import migrate
from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.orchestration.instance import dagster_database
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))

#: Nobody is asked there.
DIRECT = "postgresql://bolt@127.0.0.1:1/bolt"


@pytest.fixture
def pooled(server: Any) -> Iterator[Callable[..., str]]:
    """Return what puts PgBouncer in front of an owner's database and returns the URL of that."""
    program = shutil.which("pgbouncer", path=PATH)
    assert program, "no pgbouncer; apt-get install pgbouncer"
    account = system_account() if os.geteuid() == 0 else own_account()
    # Not below pytest's folders, into which the account may not go.
    folder = Path(tempfile.mkdtemp(prefix="sb-pool-"))
    os.chown(folder, account.uid, account.gid)
    running: list[subprocess.Popen[bytes]] = []

    def put(url: str, mode: str, **more: object) -> str:
        owner = url.rpartition("/")[2]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "",
            "auth_type": "trust", "auth_file": folder / "users", "pool_mode": mode,
        } | more  # fmt: skip
        (folder / "users").write_text(f'"{owner}" ""\n')
        lines = [f"{name} = {value}" for name, value in settings.items()]
        given = f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
        (folder / "ini").write_text(given + "\n".join(lines) + "\n")
        switch: dict[str, Any] = {}
        if os.geteuid() != account.uid:
            switch = {"user": account.uid, "group": account.gid, "extra_groups": []}
        with (folder / "log").open("wb") as log:
            running.append(
                subprocess.Popen([program, folder / "ini"], stdout=log, stderr=log, **switch)
            )
        deadline = time.monotonic() + 20
        while True:
            try:
                there = f"postgresql://{owner}@127.0.0.1:{port}/{owner}"
                psycopg.connect(there, connect_timeout=5).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
            else:
                return there

    yield put
    for process in running:
        process.terminate()
        process.wait(20)
    shutil.rmtree(folder)


@pytest.mark.parametrize("more", [{}, {"server_round_robin": 1}, {"default_pool_size": 1}])
def test_transaction_mode_is_refused_in_a_line_that_names_what_to_use(
    server: Any, pooled: Callable[..., str], more: dict[str, object]
) -> None:
    url = pooled(server.managed(), "transaction", **more)
    port = url.rpartition(":")[2].partition("/")[0]
    with pytest.raises(ConfigurationError) as caught:
        migrate(Database(url, timedelta(0)), date(2026, 11, 1))
    line = str(caught.value)
    assert "\n" not in line
    assert f"port {port} is a pooler in transaction mode" in line
    assert "session mode" in line
    assert "5432" in line


def test_transaction_mode_is_seen_while_others_use_the_pooler(
    server: Any, pooled: Callable[..., str]
) -> None:
    url = pooled(server.managed(), "transaction", default_pool_size=6)
    busy = True

    def use() -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            while busy:
                connection.execute("select pg_sleep(0.002)")

    with ThreadPoolExecutor(4) as others:
        using = [others.submit(use) for _ in range(4)]
        try:
            with pytest.raises(ConfigurationError, match="session mode"):
                Database(url, timedelta(0)).connect()
        finally:
            busy = False
    assert [one.result() for one in using] == [None] * 4


def test_session_mode_serves(server: Any, pooled: Callable[..., str]) -> None:
    url = pooled(server.managed(), "session")
    assert migrate(Database(url, timedelta(0)), date(2026, 11, 1)).before is None
    with Database(url, timedelta(0)).turn("a") as ours, Database(url, timedelta(0)).turn("a") as no:
        assert (ours, no) == (True, False)


def test_dagsters_database_is_held_to_the_same(server: Any, pooled: Callable[..., str]) -> None:
    url = pooled(server.managed(), "transaction")
    with pytest.raises(ConfigurationError, match=r"^SWIFTBOLT_DAGSTER_URL: .*session mode"):
        connect(url, variable="SWIFTBOLT_DAGSTER_URL")
    settings = read_settings({"SWIFTBOLT_DATABASE_URL": DIRECT, "SWIFTBOLT_DAGSTER_URL": url})
    with pytest.raises(ConfigurationError, match=r"^SWIFTBOLT_DAGSTER_URL: .*session mode"):
        dagster_database(settings).connect()
