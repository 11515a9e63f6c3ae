"""`swiftbolt simulate`: the provider simulator alone."""

from __future__ import annotations

from dataclasses import replace

import click

from resources.providers.registry import PROVIDERS
from swiftbolt_assets.api.keys import LOOPBACK_HOSTS
from swiftbolt_assets.cli.arguments import parse_port_offset
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.orchestration.simulator_plan import simulator_config
from swiftbolt_assets.settings import read_settings
from swiftbolt_assets.simulator.config import DEFAULT_PORT, LOOPBACK
from swiftbolt_assets.simulator.server import serve


def run_simulate(*, host: str | None, port_offset: str, free: bool) -> None:
    """Serve until interrupted.

    Raises:
        UsageError: the host is not loopback: the simulator is a test double, not a service.

    """
    settings = read_settings()
    address = host or LOOPBACK
    if address not in LOOPBACK_HOSTS:
        raise UsageError(f"host: the simulator serves on loopback only; leave it at {LOOPBACK}")
    port = DEFAULT_PORT + parse_port_offset(port_offset)
    if free:
        settings = replace(settings, simulator_plan="free")
    click.echo(
        f"simulated {' and '.join(one.label for one in PROVIDERS)} on http://{address}:{port} "
        f"({settings.simulator_plan} plan; made-up prices, any key); Ctrl-C stops"
    )
    serve(simulator_config(settings), address, port)
