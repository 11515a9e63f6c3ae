"""What all tests share: a real Postgres, started once per test process, and fresh databases.

Tests that take `browser` need the machine's Chromium. Without one they are left out, and the last
line of a run says so.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg
import pytest

from rehearsal.commands import Commands
from resources.postgres.database import Database, sibling_database
from resources.postgres.embedded import server as embedded
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

# An example that a busy machine holds up has not failed.
hypothesis.settings.register_profile("swiftbolt", deadline=None)
hypothesis.settings.load_profile("swiftbolt")

FIRST_DATE = date(2024, 1, 2)
#: Where tests take `browser`; all of them are slow.
BROWSER_TESTS = tuple(
    Path(__file__).parent / name
    for name in ("page", "api/supabase_clients", "servers/test_platform_elsewhere.py")
)
BROWSER_FLAGS = (
    "--no-sandbox",  # Chromium has none as root
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
#: A test process's databases, with a wide margin.
ROOM = 4 * 2**30
_numbers = itertools.count(1)
_SURROUNDINGS = pytest.StashKey[dict[str, str]]()


def find_browser() -> str | None:
    """Return the machine's Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


#: What a person's shell may hold and changes what commands do or print.
SURROUNDINGS = (
    *("SWIFTBOLT_", "POLYGON_", "MASSIVE_", "TRADIER_", "RESAMPLE_", "MAX_CONCURRENT_JOBS"),
    *("DAGSTER_", "PG", "PYTHON", "CELERY_", "DJANGO_", "LC_", "LANGUAGE"),
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "TZ"),
)


def pytest_configure(config: pytest.Config) -> None:
    """Give tests, and what they start, surroundings that do not depend on who runs them."""
    for name in [name for name in os.environ if name.startswith(SURROUNDINGS)]:
        del os.environ[name]
    os.environ["LANG"] = "C.UTF-8"
    config.stash[_SURROUNDINGS] = dict(os.environ)
    time.tzset()
    os.umask(0o022)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # Under nohup: the run itself goes on, and the programs that it starts hear a hangup.
        signal.signal(signal.SIGHUP, lambda *_: None)
    # A script's background ignores it, which would be handed down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a browser where there is none."""
    if find_browser() is None:
        left_out = [item for item in items if "browser" in getattr(item, "fixturenames", ())]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say at the very end what did not run."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    asked = [Path(str(argument).partition("::")[0]).resolve() for argument in config.args]
    is_asked = any(
        there.is_relative_to(at) or at.is_relative_to(there)
        for at in asked
        for there in BROWSER_TESTS
    )
    is_slow = config.getoption("markexpr") != "not slow"
    is_worker = hasattr(config, "workerinput")
    if reporter and is_asked and is_slow and not is_worker and find_browser() is None:
        reporter.write_line(
            "browser tests did not run: no chromium; apt-get install chromium", yellow=True
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Run one browser for the module."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=find_browser(), args=list(BROWSER_FLAGS)
        )
        yield running
        running.close()


@pytest.fixture(scope="session")
def surroundings(pytestconfig: pytest.Config) -> dict[str, str]:
    """Return the environment for what tests start: without what tests of this process add to it."""
    return pytestconfig.stash[_SURROUNDINGS]


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """Give what commands are forked from."""
    warm = Commands()
    yield warm
    warm.close()


@pytest.fixture(scope="session")
def home_folder() -> Iterator[Path]:
    """Give a folder for homes, in the machine's memory where there is room.

    Ext4 passes over the inodes of files deleted a moment ago: where databases of a thousand files
    come and go, making one soon takes 400 ms instead of 30. It is open to every account, so that
    a database of root's stays in it.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM
    folder = Path(tempfile.mkdtemp(prefix="sb-", dir=memory if is_roomy else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server(home_folder: Path) -> Iterator[str]:
    """Run an embedded server; the URL of a migrated database that others are copied from.

    It need not outlive the machine: waiting for the disk was most of what a copy took. What is
    killed in a test loses nothing by that.
    """
    home = home_folder / "postgres"
    server = embedded.start(home)
    try:
        url = server.url("swiftbolt")
        with psycopg.connect(sibling_database(url, "_dagster"), autocommit=True) as connection:
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
        migrate(Database(url, timedelta(0)), FIRST_DATE)
        yield url
    finally:
        embedded.stop(home)
        embedded.erase(home)


@pytest.fixture(scope="session")
def _administration(postgres_server: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(sibling_database(postgres_server, "_dagster"), autocommit=True) as made:
        yield made


@pytest.fixture
def database_url(postgres_server: str, _administration: psycopg.Connection[Any]) -> Iterator[str]:
    """Return the URL of a database of its own with the newest schema."""
    name = f"test_{next(_numbers)}"
    _administration.execute(f"create database {name} template swiftbolt strategy file_copy")
    url = postgres_server.replace("/swiftbolt?", f"/{name}?")
    yield url
    _administration.execute(f"drop database {name} with (force)")


@pytest.fixture
def database(database_url: str) -> Database:
    """Return a migrated database of its own, on real time."""
    return Database(database_url, timedelta(0))
