"""`swiftbolt env`: shell exports for Dagster's own commands and for callers of the API."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from swiftbolt_assets.cli.installation import opened, ready
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.settings import read_settings


def run_env(*, stop: bool) -> None:
    """Start the database if it is embedded, leave it running, and print the exports.

    `stop` undoes the leaving: the database ends with the last process that uses it.
    """
    if stop:
        _let_go()
        return
    from swiftbolt_assets.api.keys import api_keys
    from swiftbolt_assets.orchestration.instance import dagster_environment, prepare_dagster
    from swiftbolt_assets.orchestration.platform.ports import API_PORT, LOOPBACK, http_address
    from swiftbolt_assets.orchestration.platform.presence import find_platform

    with ready(keep=True) as installation:
        prepare_dagster(installation.settings, installation.database)
        environment = dagster_environment(installation.settings)
        environment["SWIFTBOLT_DATABASE_URL"] = installation.database.url
        keys = api_keys(installation.settings, LOOPBACK)
        platform = find_platform(installation.settings)
    environment |= {
        "SWIFTBOLT_ANON_KEY": keys.anon,
        "SWIFTBOLT_SERVICE_KEY": keys.service,
        # What the chart app reads.
        "SUPABASE_URL": platform.api_url if platform else http_address(LOOPBACK, API_PORT),
        "SUPABASE_ANON_KEY": keys.anon,
        # Dagster's commands, too, import nothing from the folder they are started in.
        **{name: os.environ.get(name, "") for name in ("PYTHONSAFEPATH", "PYTHONPATH")},
    }
    if keys.jwt_secret:
        environment["SWIFTBOLT_JWT_SECRET"] = keys.jwt_secret
    click.echo("# These lines carry credentials of the database and the API: do not share or log.")
    if installation.embedded:
        click.echo("# The database runs on for this shell; swiftbolt env --stop lets it end.")
    for name, value in environment.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def show_profile(profile: str | None, into: str | None) -> None:
    """Print or write a profile's configuration files, without credentials; nothing is started.

    Raises:
        ConfigurationError: there is no such profile, or it needs a setting that is not set.
        SwiftBoltError: the folder cannot be written to.

    """
    named = {} if profile is None else {"SWIFTBOLT_PROFILE": profile}
    settings = read_settings(os.environ | named)

    from swiftbolt_assets.orchestration.configuration import configuration_files
    from swiftbolt_assets.orchestration.instance import plain_dagster_url

    texts = configuration_files(settings, plain_dagster_url(settings))
    if into is None:
        click.echo("\n---\n".join(f"# {name}\n{text}" for name, text in texts.items()), nl=False)
        return
    folder = Path(into)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
            click.echo(folder / name)
    except OSError as error:
        raise SwiftBoltError(f"into: {folder} cannot be written to ({error.strerror})") from error


def _let_go() -> None:
    from resources.postgres.embedded.server import is_running, release_keep

    settings = read_settings()
    if not settings.home.exists() or not is_running(settings.home):
        click.echo("no database of this installation runs")
        return
    with opened(settings) as installation:
        if installation.embedded:
            release_keep(settings.home)
    rest = is_running(settings.home)
    click.echo("the database is in use and ends with its last user" if rest else "stopped")
