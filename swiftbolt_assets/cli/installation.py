"""An installation made ready for a command: its database runs and has the newest schema.

What belongs here: the steps that nearly every command begins with. What does not: the steps
themselves.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from resources.postgres.database import Database
    from swiftbolt_assets.settings import Settings


@dataclass(frozen=True)
class Installation:
    """What a command works with.

    Attributes:
        settings: the settings.
        database: where the bars live.
        embedded: whether its server is the embedded one, also when its URL is in the environment.

    """

    settings: Settings
    database: Database
    embedded: bool

    def revive(self) -> bool:
        """Start an embedded server again that was killed; return whether it was.

        Raises:
            SwiftBoltError: it cannot be started.

        """
        from resources.postgres.embedded.server import revive

        return self.embedded and revive(self.settings.home)


@contextmanager
def opened(settings: Settings | None = None, *, keep: bool = False) -> Iterator[Installation]:
    """Run the database while the command needs it; the schema is not touched.

    Args:
        settings: the settings, read from the environment when not given.
        keep: leave an embedded server running afterwards.

    """
    from resources.postgres.database import Database
    from resources.postgres.embedded.server import lease, locate

    settings = settings or read_settings()
    _keep_warnings(settings.home / "log" / "commands.log")
    # `swiftbolt env` exports the embedded server's URL, too.
    embedded = (None, locate(settings.home).url("swiftbolt"))
    if settings.database_url not in embedded:
        url = str(settings.database_url)
        yield Installation(settings, Database(url, settings.clock.offset), embedded=False)
        return
    with lease(settings.home, keep=keep) as server:
        database = Database(server.url("swiftbolt"), settings.clock.offset)
        yield Installation(settings, database, embedded=True)


@contextmanager
def ready(settings: Settings | None = None, *, keep: bool = False) -> Iterator[Installation]:
    """Run the database, bring it to the newest schema, and settle which kind of bars it holds."""
    from resources.schema import claim_data_source

    with _newest(settings, keep=keep) as installation:
        claim_data_source(installation.database, simulated=installation.settings.simulated)
        yield installation


@contextmanager
def readable(settings: Settings | None = None) -> Iterator[Installation]:
    """Run the database for a command that only reads: with the newest schema nothing is written."""
    from resources.schema import require_data_source

    with _newest(settings) as installation:
        require_data_source(installation.database, simulated=installation.settings.simulated)
        yield installation


@contextmanager
def _newest(settings: Settings | None, *, keep: bool = False) -> Iterator[Installation]:
    from resources.schema import is_newest, migrate

    with opened(settings, keep=keep) as installation:
        if not is_newest(installation.database):
            migrate(installation.database, installation.settings.first_date)
        yield installation


def _keep_warnings(path: Path) -> None:
    """Send the warnings of libraries to a file: a person at the terminal gets one line."""
    if logging.root.handlers:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        # The home cannot be used; the command says so, if it needs it.
        logging.root.addHandler(logging.NullHandler())
        return
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logging.root.addHandler(handler)
