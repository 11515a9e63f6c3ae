"""`swiftbolt up`: the platform in the foreground."""

from __future__ import annotations

import click

from swiftbolt_assets.api.keys import require_keys
from swiftbolt_assets.cli.arguments import parse_port_offset
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.cli.stopping import stop_signals
from swiftbolt_assets.cli.watching import watch
from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.settings import read_settings


def run_up(*, host: str | None, port_offset: str) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        SwiftBoltError: a platform runs on this home already, or a part does not start.
        KeyboardInterrupt: it was stopped while starting.

    """
    offset = parse_port_offset(port_offset)
    settings = read_settings()
    address = host or settings.host
    require_keys(settings, address)

    from swiftbolt_assets.orchestration.engines import require_engine

    require_engine(settings)
    if settings.profile == "k8s":
        raise ConfigurationError(
            "SWIFTBOLT_PROFILE: under k8s the platform runs in a cluster; swiftbolt env --profile "
            "k8s prints its files, and here up serves local and celery"
        )

    from resources.postgres.embedded.server import release_keep
    from swiftbolt_assets.orchestration.platform.ports import require_free_ports
    from swiftbolt_assets.orchestration.platform.presence import platform_lock

    with stop_signals() as stop, platform_lock(settings):
        require_free_ports(settings, offset)
        if settings.embedded:
            release_keep(settings.home)
        with ready(settings) as installation:
            from swiftbolt_assets.orchestration.instance import prepare_dagster
            from swiftbolt_assets.orchestration.platform.services import running_platform

            prepare_dagster(settings, installation.database)
            if settings.profile == "celery":
                from swiftbolt_assets.orchestration.celery.slots import announce_code

                announce_code(settings, installation.database)
            with running_platform(settings, offset, address) as (platform, supervisor):
                source = "simulated bars" if settings.simulated else "real providers"
                click.echo(f"SwiftBolt runs ({source})")
                click.echo(f"  chart   {platform.chart_url}")
                click.echo(f"  API     {platform.api_url}/docs")
                click.echo(f"  Dagster {platform.dagster_url}")
                click.echo("Ctrl-C stops it.")
                stop.wait_with(lambda: watch(installation, supervisor, stop))
        click.echo("stopped")
