"""`swiftbolt worker`: takes runs of a platform that may be on another machine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import click

from resources.postgres.embedded.lock import unusable
from swiftbolt_assets.cli.arguments import parse_slots, parse_worker_name
from swiftbolt_assets.cli.installation import opened
from swiftbolt_assets.errors import ConfigurationError, StorageError
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from swiftbolt_assets.settings import Settings


def run_worker(*, slots: str | None, name: str | None) -> int:
    """Serve until SIGTERM or Ctrl-C and the end of the last run; return the exit code.

    Raises:
        SwiftBoltError: the home cannot be written, the broker or the database does not answer, or
            the schema is another code's.

    """
    at_once = parse_slots(slots)
    label = parse_worker_name(name) if name is not None else socket.gethostname()
    settings = read_settings()
    if settings.profile != "celery":
        raise ConfigurationError(
            f"SWIFTBOLT_PROFILE: it is {settings.profile}, and workers belong to the profile "
            "celery; set it to celery, here and where the platform runs"
        )

    from swiftbolt_assets.orchestration.engines import require_engine

    require_engine(settings)

    from resources.platform.broker import require_broker
    from resources.schema import newest_revision, revision

    require_broker(str(settings.broker_url))
    log = _log_of(settings, label)
    with opened(settings) as installation:
        found = revision(installation.database)
        if found != newest_revision():
            raise StorageError(
                f"database: its schema is {found or 'not there'} and this code's is "
                f"{newest_revision()}; run swiftbolt migrate, or install the platform's version"
            )

        from swiftbolt_assets.orchestration.celery.worker import serve

        return serve(settings, slots=at_once, name=label, log=log, say=_say)


def _log_of(settings: Settings, name: str) -> Path:
    """Return the file for what a worker's runs log: it may be an account's that has no home yet."""
    log = settings.home / "worker" / f"{name}.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise unusable(settings.home, error) from error
    return log


def _say(line: str) -> None:
    click.echo(line, err=True)
