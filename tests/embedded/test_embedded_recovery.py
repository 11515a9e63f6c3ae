"""The embedded server starts again whatever killed it or was left by it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from resources.postgres.embedded import server as embedded
from resources.postgres.embedded.cluster import _postmaster, _processes
from resources.postgres.embedded.place import find

if TYPE_CHECKING:
    from conftest import Actors

pytestmark = pytest.mark.slow
Ask = Callable[[embedded.EmbeddedServer, str], object]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"no sign of {what}"
        time.sleep(0.002)


def postmaster(home: Path) -> int:
    pid = _postmaster(find(home))
    assert pid
    return pid


@pytest.fixture
def stranger() -> Iterator[Callable[[Path], int]]:
    """Give a live process of the server's own account that has nothing to do with Postgres."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(data: Path) -> int:
        user = {"user": data.stat().st_uid} if os.geteuid() == 0 else {}
        started.append(subprocess.Popen(["sleep", "600"], **user))
        return started[-1].pid

    yield begin
    for process in started:
        assert process.poll() is None, "the stranger was killed"
        process.kill()
        process.wait()


def test_a_killed_server_starts_again_with_every_committed_row(home: Path, ask: Ask) -> None:
    server = embedded.start(home)
    ask(server, "create table kept as select 7 as number")
    os.kill(postmaster(home), signal.SIGKILL)
    assert ask(embedded.start(home), "select number from kept") == 7


def test_a_backend_busy_since_before_the_kill_does_not_keep_the_server_down(
    used: Path, ask: Ask
) -> None:
    server = embedded.start(used)
    busy = psycopg.connect(server.url("swiftbolt"), autocommit=True)
    spin = "do $$ begin loop end loop; end $$"
    failures: list[BaseException] = []

    def work() -> None:
        try:
            busy.execute(spin)
        except psycopg.OperationalError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(
        lambda: ask(server, "select count(*) from pg_stat_activity where query like 'do $$%loop%'"),
        "the busy backend",
    )
    os.kill(postmaster(used), signal.SIGKILL)
    assert ask(embedded.start(used), "select 1") == 1
    thread.join(timeout=60)
    busy.close()
    assert failures


def test_a_pid_file_that_names_a_living_stranger_is_seen_through(
    used: Path, ask: Ask, stranger: Callable[[Path], int]
) -> None:
    server = embedded.start(used)
    pid_file = server.data / "postmaster.pid"
    socket_lock = server.sockets / ".s.PGSQL.5432.lock"
    left = pid_file.read_text(), socket_lock.read_text()
    embedded.stop(used)
    pid = str(stranger(server.data))
    for path, text in zip((pid_file, socket_lock), left, strict=True):
        path.write_text("\n".join([pid, *text.splitlines()[1:], ""]))
    assert not embedded.is_running(used)
    assert not embedded.stop(used)
    assert ask(embedded.start(used), "select 1") == 1
    assert embedded.stop(used)


@pytest.mark.parametrize("content", ["", "1", "nonsense\n", "-1\n/\n", "99999\n"])
def test_a_cut_pid_file_is_no_obstacle(used: Path, ask: Ask, content: str) -> None:
    pid_file = embedded.locate(used).data / "postmaster.pid"
    pid_file.write_text(content)
    assert ask(embedded.start(used), "select 1") == 1
    embedded.stop(used)


def test_a_pid_file_that_names_a_zombie_is_no_obstacle(used: Path, ask: Ask) -> None:
    server = embedded.start(used)
    pid_file = server.data / "postmaster.pid"
    _, *others = pid_file.read_text().splitlines()
    embedded.stop(used)
    user = {"user": server.data.stat().st_uid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["true"], **user) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        pid_file.write_text("\n".join([str(zombie.pid), *others, ""]))
        assert ask(embedded.start(used), "select 1") == 1
    embedded.stop(used)


@pytest.mark.parametrize("victim", ["the starter", "initdb too"])
def test_an_interrupted_initdb_is_begun_anew(
    private: Path, actors: Actors, ask: Ask, victim: str
) -> None:
    starter = actors.begin("start", private)
    until(lambda: list(find(private).state.glob("data.*/base/1")), "a half-made data directory")
    starter.kill()
    if victim == "initdb too":
        for pid in initdbs_in(find(private).state):
            os.kill(pid, signal.SIGKILL)
    assert ask(embedded.start(private), "select 1") == 1
    assert not list(find(private).state.glob("data.*"))


def initdbs_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program, cwd = (process / "comm").read_text().strip(), (process / "cwd").readlink()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or another user's
        if program == "initdb" and cwd == folder:
            found.append(int(process.name))
    return found


def test_a_starter_killed_while_the_server_comes_up_leaves_one_server(
    private: Path, actors: Actors, ask: Ask
) -> None:
    starter = actors.begin("start", private)
    until(lambda: _postmaster(find(private)), "a starting server")
    starter.kill()
    assert ask(embedded.start(private), "select 1") == 1
    titles = [t for t in _processes(find(private)).values() if not t.startswith("postgres:")]
    assert len(titles) == 1


def test_a_server_whose_socket_was_swept_away_is_started_anew(used: Path, ask: Ask) -> None:
    server = embedded.start(used)
    for path in server.sockets.iterdir():
        path.unlink()
    assert not embedded.is_running(used)
    assert ask(embedded.start(used), "select 1") == 1


def test_a_removed_home_begins_empty_and_its_old_server_is_gone(home: Path, ask: Ask) -> None:
    ask(embedded.start(home), "create table gone ()")
    old = postmaster(home)
    shutil.rmtree(home)
    assert ask(embedded.start(home), "select to_regclass('gone') is null")
    assert postmaster(home) != old
    until(lambda: old not in _processes(find(home)), "the end of the old server")
