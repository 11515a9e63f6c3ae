"""Whether a platform runs on a home, where it listens, and that there is never a second one.

One platform a home: an exclusive lock says so, a small file beside it says where it listens.
What belongs here: the lock, the note and how to ask. What does not: starting it (`services.py`).
No Dagster here: `status` and `doctor` start without it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError, SwiftBoltError
from swiftbolt_assets.orchestration.platform.ports import LOOPBACK, http_address, listens
from swiftbolt_assets.orchestration.platform.web_ui import ask
from swiftbolt_assets.waiting import until

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
        if not until(lambda: _locked(lock, fcntl.LOCK_EX), within_s=_LOOK_S, every_s=_POLL_S):
            raise _taken(settings)
        # A killed platform's note would send commands to whatever listens there now.
        forget(settings)
        yield


def find_platform(settings: Settings) -> Platform | None:
    """Return the platform that runs on this home, or None; one that starts is none yet."""
    return _noted(settings) if is_taken(settings) else None


def is_taken(settings: Settings) -> bool:
    """Return whether a platform runs on this home, starts or stops."""
    path = settings.home / "platform.lock"
    if not path.exists():
        return False
    with path.open("a") as lock:
        return not _locked(lock, fcntl.LOCK_SH)


def _locked(lock: IO[str], kind: int) -> bool:
    """Lock a file if that needs no wait; return whether it is locked now."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
