"""`swiftbolt serve`: the HTTP API and the chart alone; what is missing waits for a platform."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

import click

from swiftbolt_assets.cli.arguments import parse_port_offset
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.settings import read_settings


def run_serve(*, host: str | None, port_offset: str) -> None:
    """Serve until interrupted.

    Raises:
        SwiftBoltError: a key is missing, or the address cannot be listened on.

    """
    settings = read_settings()
    address = host or settings.host
    offset = parse_port_offset(port_offset)

    from swiftbolt_assets.api.keys import api_keys
    from swiftbolt_assets.api.server import listening, server
    from swiftbolt_assets.orchestration.platform.ports import API_PORT, http_address

    keys = api_keys(settings, address)
    with listening(address, API_PORT + offset) as listener:
        _log_to_stderr(as_json=settings.log_format == "json")
        with ready(settings) as installation:
            url = http_address(address, API_PORT + offset)
            source = "simulated" if settings.simulated else "real"
            click.echo(f"SwiftBolt's API ({source} bars): {url}/docs, chart {url}/chart")
            click.echo("Ctrl-C stops it.")
            server(settings, installation.database, keys, address).run(sockets=[listener])


class _Lines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname, "logger": record.name}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _log_to_stderr(*, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(_Lines() if as_json else text)
    logging.root.addHandler(handler)
    logging.getLogger("swiftbolt_assets").setLevel(logging.INFO)
