"""How a step of ours fails: with the reason in one line, and the file that its log goes to.

What belongs here: phrasing that. What does not: reading it again (`orchestration/failures.py`).
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

#: What this process writes its log to: a service's file, a worker's, a terminal, a pod's stream.
_LOG = Path("/dev/fd/2")


def failure(reason: object) -> dg.Failure:
    """Return what ends a step, and is not tried again by Dagster."""
    log = _LOG.resolve()
    told = {"log": dg.MetadataValue.path(log)} if log.is_file() else {}
    return dg.Failure(str(reason), metadata=told, allow_retries=False)
