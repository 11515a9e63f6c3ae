"""Whether a platform runs on a home, where it listens, and that there is never a second one.

One platform a home: an exclusive lock says so, a small file beside it says where it listens.
What belongs here: the lock, the note and how to ask. What does not: starting it (`platform.py`).
No Dagster here: `status` and `doctor` start without it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError, SwiftBoltError
from swiftbolt_assets.orchestration.graphql import ask
from swiftbolt_assets.orchestration.ports import LOOPBACK, http_address, listens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from swiftbolt_assets.settings import Settings

#: Whoever looks for a platform holds the lock for a moment; who wants to run one waits that long.
_LOOK_S = 1.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Platform:
    """A running platform.

    Attributes:
        pid: of its supervisor.
        dagster_port: of Dagster's web UI, on loopback: it has no authentication.
        api_host: what the HTTP API listens on.
        api_port: its port.
        simulator_port: of its simulator, None when it has none.
        parts: process id of each of its processes, by name.

    """

    pid: int
    dagster_port: int
    api_host: str
    api_port: int
    simulator_port: int | None
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def dagster_url(self) -> str:
        """Return the address of Dagster's web UI."""
        return f"http://{LOOPBACK}:{self.dagster_port}"

    @property
    def api_url(self) -> str:
        """Return the address of the HTTP API."""
        return http_address(self.api_host, self.api_port)

    @property
    def chart_url(self) -> str:
        """Return the address of the chart."""
        return f"{self.api_url}/chart"


@contextmanager
def platform_lock(settings: Settings) -> Iterator[None]:
    """Hold this home's platform lock.

    Raises:
        ConfigurationError: the home cannot be used.
        SwiftBoltError: a platform runs on this home already.

    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        lock = (settings.home / "platform.lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"SWIFTBOLT_HOME: {settings.home} cannot be used ({error.strerror}); set it to a "
            "folder you may write"
        ) from error
    with lock:
        deadline = time.monotonic() + _LOOK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise _taken(settings) from None
            time.sleep(_POLL_S)
        # A killed platform's note would send commands to whatever listens there now.
        forget(settings)
        yield


def find_platform(settings: Settings) -> Platform | None:
    """Return the platform that runs on this home, or None."""
    path = settings.home / "platform.lock"
    if not path.exists():
        return None
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _noted(settings)
    return None


def answers(platform: Platform) -> bool:
    """Return whether all processes live, the API listens and the web UI has loaded the code."""
    return (
        all(map(lives, platform.parts.values()))
        and listens(platform.api_host, platform.api_port)
        and dagster_answers(platform.dagster_port)
    )


def dagster_answers(port: int) -> bool:
    """Return whether the web UI on a port has loaded the code location."""
    query = "{repositoriesOrError{__typename ... on RepositoryConnection{nodes{name}}}}"
    try:
        found = ask(port, query).get("repositoriesOrError") or {}
    except SwiftBoltError:
        return False
    return bool(found.get("nodes"))


def note(settings: Settings, platform: Platform) -> None:
    """Write down where the platform listens."""
    target = settings.home / "platform.json"
    partial = settings.home / f"platform.json.{os.getpid()}"
    partial.write_text(json.dumps(asdict(platform)), "utf-8")
    partial.replace(target)


def forget(settings: Settings) -> None:
    """Remove the note."""
    (settings.home / "platform.json").unlink(missing_ok=True)


def _noted(settings: Settings) -> Platform | None:
    try:
        return Platform(**json.loads((settings.home / "platform.json").read_text("utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        # It is starting or stopping.
        return None


def _taken(settings: Settings) -> SwiftBoltError:
    running = _noted(settings)
    where = f" (process {running.pid}, {running.dagster_url})" if running else ""
    return SwiftBoltError(
        f"a platform runs on {settings.home} already{where}; stop it, or set SWIFTBOLT_HOME"
    )


def lives(pid: int) -> bool:
    """Return whether there is a process of this number, whoever's it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
