"""Where the platform's servers listen, and whether they can.

What belongs here: ports. What does not: the servers (`platform.py`). No Dagster here: a taken port
is told before anything starts.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from swiftbolt_assets.settings import Settings

LOOPBACK = "127.0.0.1"
DAGSTER_PORT = 3000
SIMULATOR_PORT = 8900
_POLL_S = 0.1
#: The processes of a platform that was killed a moment ago still hold its ports.
_PATIENCE_S = 5.0


def platform_ports(settings: Settings, offset: int) -> tuple[int, int | None]:
    """Return the port of Dagster's web UI, and the simulator's where the platform runs one."""
    # Somebody else's simulator may be named in the environment.
    own_simulator = settings.simulated and settings.polygon_url is None
    return DAGSTER_PORT + offset, SIMULATOR_PORT + offset if own_simulator else None


def require_free_ports(settings: Settings, offset: int) -> None:
    """Make sure that the platform's ports can be listened on.

    Raises:
        ConfigurationError: one is taken.

    """
    for port in filter(None, platform_ports(settings, offset)):
        deadline = time.monotonic() + _PATIENCE_S
        while not _is_free(port):
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"port-offset: port {port} is in use; stop what listens there or add "
                    f"--port-offset {offset + 10}"
                )
            time.sleep(_POLL_S)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
