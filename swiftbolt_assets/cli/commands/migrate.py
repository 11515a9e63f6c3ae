"""`swiftbolt migrate`: the newest schema, Dagster's included."""

from __future__ import annotations

import click

from swiftbolt_assets.cli.installation import opened


def run_migrate() -> None:
    """Migrate both databases and say what was done."""
    from resources.schema import migrate
    from swiftbolt_assets.orchestration.instance import prepare_dagster

    with opened() as installation:
        done = migrate(installation.database, installation.settings.first_date)
        dagster_upgraded = prepare_dagster(installation.settings, installation.database)
    if done.before == done.after:
        click.echo(f"schema {done.after}: already the newest")
    else:
        click.echo(f"schema {done.after}: upgraded from {done.before or 'an empty database'}")
    if dagster_upgraded:
        click.echo("Dagster's schema upgraded")
    if done.partitions_added:
        click.echo(f"{done.partitions_added} month partitions added")
