"""What makes up a running platform: its services and their addresses.

What belongs here: which processes run, and how. What does not: keeping them alive
(`processes.py`), who may run a platform and how it is found (`presence.py`), the database's life
(`resources/postgres/embedded/server.py`).
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resources.providers.registry import PROVIDERS
from swiftbolt_assets.dagster_private.fork_server import serve_from_here
from swiftbolt_assets.orchestration.instance import LOCATION, dagster_environment, dagster_home
from swiftbolt_assets.orchestration.lost_runs import fail_runs, lost_runs
from swiftbolt_assets.orchestration.platform.ports import (
    LOOPBACK,
    http_address,
    listens,
    platform_ports,
)
from swiftbolt_assets.orchestration.platform.presence import (
    Platform,
    dagster_answers,
    forget,
    note,
)
from swiftbolt_assets.orchestration.platform.processes import Service, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swiftbolt_assets.settings import Settings

_DEFINITIONS = "swiftbolt_assets.definitions"
_ANSWER_S = 5.0
#: What Linux takes for a socket's path is 108 bytes, macOS 104.
_LONGEST_SOCKET = 100


@contextmanager
def running_platform(
    settings: Settings, port_offset: int, api_host: str
) -> Iterator[tuple[Platform, Supervisor]]:
    """Start the platform's services, hold them, and stop them; the database must run.

    Only the API listens on `api_host`; all else stays on loopback.

    The caller holds `platform_lock` and calls `Supervisor.mend` now and then.

    Raises:
        ConfigurationError: a port is taken.
        SwiftBoltError: a service does not start.

    """
    ports = platform_ports(settings, port_offset)
    environment = dict(os.environ) | dagster_environment(settings)
    environment.pop("SWIFTBOLT_NOW", None)
    if ports.simulator is not None:
        url = http_address(LOOPBACK, ports.simulator)
        environment |= {provider.url_variable: url for provider in PROVIDERS}
    platform = Platform(os.getpid(), ports.dagster, api_host, ports.api, ports.simulator)
    with tempfile.TemporaryDirectory(prefix="swiftbolt-", dir=_socket_folder()) as folder:
        sockets = Path(folder)
        supervisor = Supervisor(
            settings.home / "log",
            environment,
            sockets if settings.fork_runs else None,
            lambda parts: note(settings, replace(platform, parts=parts)),
        )
        workspace = _write_workspace(settings, sockets / "code.sock")
        try:
            supervisor.warm_up()
            lost = lost_runs(settings)
            if ports.simulator is not None:
                supervisor.start(_simulator(ports.simulator, port_offset))
            supervisor.start(
                _code_location(settings, sockets),
                _api(api_host, ports.api, port_offset),
            )
            supervisor.start(_daemon(settings, workspace))
            supervisor.start(_web_ui(settings, workspace, ports.dagster))
            fail_runs(settings, lost)
            supervisor.announce()
            yield platform, supervisor
        finally:
            forget(settings)
            supervisor.stop()


def _simulator(port: int, port_offset: int) -> Service:
    arguments = ["simulate", "--port-offset", str(port_offset)]
    return Service(
        "simulator", "swiftbolt_assets.cli.main", arguments, lambda: listens(LOOPBACK, port)
    )


def _api(host: str, port: int, port_offset: int) -> Service:
    arguments = ["serve", "--host", host, "--port-offset", str(port_offset)]
    return Service("api", "swiftbolt_assets.cli.main", arguments, lambda: listens(host, port))


def _code_location(settings: Settings, sockets: Path) -> Service:
    # A unix socket in a private folder: whoever reaches a code server runs code in it.
    path = sockets / "code.sock"
    arguments = ["api", "grpc", "--socket", str(path)]
    arguments += ["-m", _DEFINITIONS, "--location-name", LOCATION]
    # Else the folder goes with each run, to workers too, and comes first where they import.
    arguments += ["--empty-working-directory"]
    arguments += _log_format(settings)

    def look() -> Callable[[], object]:
        # Its runs died with it; left as started they would hold the queue's slots for hours.
        # Dagster starts them again, for which the next code location must answer.
        return partial(fail_runs, settings, lost_runs(settings))

    # Its runs are forked, too: from a copy of it that was made before it had threads.
    runs = partial(serve_from_here, sockets / "runs.sock", _DEFINITIONS)
    return Service(
        "code-location",
        "dagster",
        arguments,
        lambda: _listens_at(path),
        needs_dagster=True,
        first=runs,
        look=look,
    )


def _daemon(settings: Settings, workspace: Path) -> Service:
    arguments = ["run", "-w", str(workspace), *_log_format(settings)]
    return Service(
        "daemon",
        "swiftbolt_assets.dagster_private.daemon",
        arguments,
        lambda: True,
        needs_dagster=True,
    )


def _web_ui(settings: Settings, workspace: Path, port: int) -> Service:
    arguments = ["-h", LOOPBACK, "-p", str(port), "-w", str(workspace), *_log_format(settings)]
    return Service(
        "web-ui",
        "dagster_webserver",
        arguments,
        lambda: dagster_answers(port),
        needs_dagster=True,
    )


def _log_format(settings: Settings) -> list[str]:
    return ["--log-format", "json"] if settings.log_format == "json" else []


def _write_workspace(settings: Settings, path: Path) -> Path:
    target = dagster_home(settings) / "workspace.yaml"
    target.write_text(
        "# Written by swiftbolt at every start; changes are lost.\n"
        f"load_from:\n- grpc_server:\n    socket: {json.dumps(str(path))}\n"
        f"    location_name: {LOCATION}\n",
        "utf-8",
    )
    return target


def _socket_folder() -> str | None:
    """Return where sockets go when the usual folder's path is too long for one, else None."""
    usual = Path(tempfile.gettempdir()) / "swiftbolt-12345678" / "code.sock"
    return "/tmp" if len(os.fsencode(usual)) > _LONGEST_SOCKET else None  # noqa: S108 - mkdtemp


def _listens_at(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_ANSWER_S)
        return path.exists() and probe.connect_ex(str(path)) == 0
