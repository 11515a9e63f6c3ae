"""What keeps runs from beginning under the profile celery, told once.

Shared by `up`, which watches as long as it runs, and `backfill`, which waits for its runs. What
belongs here: when to look, and what is news. What does not: what is wrong
(`orchestration/celery/slots.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import SwiftBoltError

if TYPE_CHECKING:
    from resources.postgres.database import Database
    from swiftbolt_assets.settings import Settings

LOOK_EVERY_S = 5.0


class WorkerNews:
    """Tells each trouble once, and that it is over; nothing under another profile."""

    def __init__(self, settings: Settings, database: Database, *, first_s: float = 0.0) -> None:
        self._settings, self._database = settings, database
        self._told = ""
        self._due = time.monotonic() + first_s

    def look(self) -> str | None:
        """Look now and then; return a line that has not been told, None without news."""
        if self._settings.profile != "celery" or time.monotonic() < self._due:
            return None
        from swiftbolt_assets.orchestration.celery.slots import require_workers

        self._due = time.monotonic() + LOOK_EVERY_S
        try:
            news = f"runs go on: {require_workers(self._settings, self._database)}"
            trouble = ""
        except SwiftBoltError as error:
            trouble = str(error)
            news = f"swiftbolt: {trouble}"
        if trouble == self._told:
            return None
        self._told = trouble
        return news
