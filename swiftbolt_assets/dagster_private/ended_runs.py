"""A code server that notices the ends of its runs whatever the database went through meanwhile.

A thread of Dagster's code server looks twice a second which of its runs' processes are gone, and
tells Dagster. It alone knows, so no run that lives is ever ended. Stock, the thread ends with the
first look that the database refuses (read-only, restarting): from then on a run that died stays
started for hours and holds a slot. Here such a look is made again.

It reaches into one method of Dagster, so it lives alone here, and a test fails when Dagster
changes. What belongs here: this one change. What does not: runs whose code server died, too
(`orchestration/lost_runs.py`), and those on workers (`orchestration/celery/launcher.py`).
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any

from resources.postgres.connection import first_line

_CODE_SERVER = "dagster._grpc.server"


def outlive_refusals() -> bool:
    """Let this process's code server go on looking; return whether it is one."""
    if _CODE_SERVER not in sys.modules:
        return False
    server = sys.modules[_CODE_SERVER].DagsterApiServer
    stock = server._check_for_orphaned_runs  # noqa: SLF001
    if hasattr(stock, "__wrapped__"):
        return True
    told: str | None = None

    @wraps(stock)
    def look(self: Any) -> None:  # noqa: ANN401 - Dagster is not imported here
        nonlocal told
        try:
            stock(self)
        except Exception as error:  # noqa: BLE001 - a thread that ends never notices an end again
            line = first_line(error)
            if line != told:
                self._logger.warning(f"ended runs cannot be told, which is tried again: {line}")
            told = line
        else:
            told = None

    server._check_for_orphaned_runs = look  # noqa: SLF001
    return True
