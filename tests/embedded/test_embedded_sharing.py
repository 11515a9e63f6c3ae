"""Many processes, threads and users share the servers of one machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from resources.postgres.embedded import server as embedded
from resources.postgres.embedded.cluster import _processes
from resources.postgres.embedded.place import find
from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from conftest import Actors

pytestmark = pytest.mark.slow
Ask = Callable[[embedded.EmbeddedServer, str], object]


def postmasters(home: Path) -> int:
    titles = _processes(find(home)).values()
    return sum(not title.startswith("postgres:") for title in titles)


@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_start_a_fresh_home_at_once_get_one_server(
    private: Path, actors: Actors, count: int
) -> None:
    starters = [actors.begin("start", private) for _ in range(count)]
    answers = [actors.answer(starter) for starter in starters]
    assert {answer.get("url") for answer in answers} == {embedded.locate(private).url("swiftbolt")}
    assert postmasters(private) == 1


def test_threads_that_start_and_stop_one_home_at_once_never_fail(used: Path) -> None:
    together = threading.Barrier(4)

    def churn(_: int) -> None:
        together.wait()
        for _ in range(3):
            with (
                embedded.lease(used) as server,
                psycopg.connect(server.url("swiftbolt")) as connection,
            ):
                connection.execute("select 1")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    assert not embedded.is_running(used)


def test_the_last_holder_to_leave_stops_the_server(used: Path, actors: Actors) -> None:
    first, second = actors.begin("hold", used), actors.begin("hold", used)
    actors.answer(first)
    actors.answer(second)
    actors.release(first)
    assert embedded.is_running(used)
    actors.release(second)
    assert not embedded.is_running(used)


def test_a_killed_holder_holds_nothing(used: Path, actors: Actors) -> None:
    holder = actors.begin("hold", used)
    actors.answer(holder)
    with embedded.lease(used):
        holder.kill()
        holder.wait()
        assert embedded.is_running(used)
    assert not embedded.is_running(used)


def test_a_fork_of_a_holder_holds_nothing_and_stops_nothing(used: Path, actors: Actors) -> None:
    holder = actors.begin("hold-and-fork", used)
    child = actors.answer(holder)["child"]
    assert isinstance(child, int)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    os.kill(child, 0)
    with embedded.lease(used):
        pass
    assert not embedded.is_running(used)


def test_a_lease_that_keeps_leaves_the_server_running_until_released(used: Path) -> None:
    with embedded.lease(used, keep=True):
        pass
    with embedded.lease(used):
        pass
    assert embedded.is_running(used)
    embedded.release_keep(used)
    embedded.release_keep(used)
    with embedded.lease(used):
        pass
    assert not embedded.is_running(used)


def test_two_users_run_their_own_servers_at_the_same_time(
    used: Path, actors: Actors, ordinary_folder: Path, ask: Ask
) -> None:
    server = embedded.start(used)
    theirs = actors.ask_as_ordinary_user("start", ordinary_folder / "home")
    assert "url" in theirs, theirs
    assert ask(server, "select 1") == 1
    assert actors.ask_as_ordinary_user("stop", ordinary_folder / "home") == {"stopped": True}
    assert embedded.is_running(used)


def test_a_socket_path_that_is_too_long_moves_to_a_private_folder(
    actors: Actors, ordinary_folder: Path
) -> None:
    home = ordinary_folder / ("long " + "x" * 150)
    sockets = Path(str(actors.ask_as_ordinary_user("start", home)["sockets"]))
    try:
        owner = ordinary_folder.stat().st_uid
        assert sockets.parent == Path("/tmp")  # noqa: S108 - private within
        assert sockets.name.startswith(f"swiftbolt-{owner}-")
        assert (sockets.stat().st_uid, sockets.stat().st_mode & 0o777) == (owner, 0o700)
        assert actors.ask_as_ordinary_user("stop", home) == {"stopped": True}
    finally:
        embedded.erase(home)
    assert not sockets.exists()


def test_a_planted_socket_folder_is_refused(
    actors: Actors, ordinary_folder: Path, tmp_path: Path
) -> None:
    home = ordinary_folder / ("long " + "y" * 150)
    sockets = Path(str(actors.ask_as_ordinary_user("start", home)["sockets"]))
    actors.ask_as_ordinary_user("stop", home)
    for path in sockets.iterdir():
        path.unlink()
    sockets.rmdir()
    sockets.symlink_to(tmp_path)
    try:
        answer = actors.ask_as_ordinary_user("start", home)
    finally:
        sockets.unlink()
        embedded.erase(home)
    assert answer["error"] == "StorageError"
    assert "not a private folder" in str(answer["message"])


def test_a_folder_that_may_not_be_written_is_refused_in_one_line(
    actors: Actors, ordinary_folder: Path
) -> None:
    ordinary_folder.chmod(0o500)
    answer = actors.ask_as_ordinary_user("start", ordinary_folder / "home")
    assert answer["error"] == "ConfigurationError"
    assert str(answer["message"]).startswith("SWIFTBOLT_HOME: ")
    assert "\n" not in str(answer["message"])


@pytest.mark.parametrize("parent", ["a file", "a read-only filesystem"])
def test_a_home_that_cannot_exist_is_refused_in_one_line(tmp_path: Path, parent: str) -> None:
    file = tmp_path / "file"
    file.touch()
    home = (file if parent == "a file" else Path("/proc/self")) / "below" / "home"
    with pytest.raises(ConfigurationError, match=r"^SWIFTBOLT_HOME: .* cannot be used \(.*\); set"):
        embedded.start(home)


def test_a_home_below_missing_folders_is_made(private: Path, ask: Ask) -> None:
    home = private / "not" / "yet"
    try:
        assert ask(embedded.start(home), "select 1") == 1
    finally:
        embedded.erase(home)


def test_asking_about_a_home_that_does_not_exist_makes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "none"
    assert not embedded.is_running(home)
    assert not embedded.stop(home)
    assert embedded.locate(home).data == home / "postgres" / "data"
    embedded.erase(home)
    assert not home.exists()
