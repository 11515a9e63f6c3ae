"""Where the platform's servers listen, and whether they can.

What belongs here: ports. What does not: the servers (`services.py`). No Dagster here: a taken port
is told before anything starts.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.waiting import until

if TYPE_CHECKING:
    from swiftbolt_assets.settings import Settings

LOOPBACK = "127.0.0.1"
DAGSTER_PORT = 3000
API_PORT = 8000
SIMULATOR_PORT = 8900
_POLL_S = 0.1
_ANSWER_S = 5.0
#: The processes of a platform that was killed a moment ago still hold its ports.
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Ports:
    """Where a platform listens.

    Attributes:
        dagster: Dagster's web UI.
        api: the HTTP API and the chart.
        simulator: the simulator, None where the platform runs none.

    """

    dagster: int
    api: int
    simulator: int | None


def platform_ports(settings: Settings, offset: int) -> Ports:
    """Return the ports of a platform."""
    # Somebody else's simulator may be named in the environment.
    own_simulator = settings.simulated and settings.history.url is None
    return Ports(
        DAGSTER_PORT + offset,
        API_PORT + offset,
        SIMULATOR_PORT + offset if own_simulator else None,
    )


def require_free_ports(settings: Settings, offset: int) -> None:
    """Make sure that the platform's ports can be listened on.

    Raises:
        ConfigurationError: one is taken.

    """
    ports = platform_ports(settings, offset)
    for port in filter(None, (ports.dagster, ports.api, ports.simulator)):
        if not until(partial(_is_free, port), within_s=_PATIENCE_S, every_s=_POLL_S):
            raise ConfigurationError(
                f"port-offset: port {port} is in use; stop what listens there or add "
                f"--port-offset {offset + 10}"
            )


def http_address(host: str, port: int) -> str:
    """Return a URL without path; a wildcard host is reached on loopback."""
    where = _reached_at(host)
    return f"http://[{where}]:{port}" if ":" in where else f"http://{where}:{port}"


def listens(host: str, port: int) -> bool:
    """Return whether somebody listens on a port; a wildcard host is asked on loopback."""
    where = _reached_at(host)
    with socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET) as probe:
        probe.settimeout(_ANSWER_S)
        try:
            return probe.connect_ex((where, port)) == 0
        except OSError:
            return False


def _reached_at(host: str) -> str:
    """Return the address at which this machine reaches what listens on a host."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
