"""`swiftbolt monitor`: the ten monitoring reports."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime

import click

from swiftbolt_assets.cli.installation import readable
from swiftbolt_assets.cli.tables import table, terminal_width


def run_monitor(*, as_json: bool) -> None:
    """Print the reports, those that are empty included."""
    from resources.platform.reports import reports

    with readable() as installation:
        found = reports(installation.database)
    if as_json:
        click.echo(json.dumps({"reports": [asdict(one) for one in found]}, default=_plain))
        return
    width = terminal_width()
    for number, one in enumerate(found):
        click.echo(("\n" if number else "") + one.title)
        lines = table(one.columns, one.rows, width) if one.rows else ["(nothing)"]
        for line in lines:
            click.echo(line)
    click.echo("\nTimes are UTC.")


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
