"""Why a step of a run failed, in one line: what an asset phrased, or else the innermost cause.

What belongs here: reading Dagster's record of a failure. What does not: what follows from it
(`launching.py`, `sensors/failures.py`).
"""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterEvent
    from dagster_shared.error import SerializableErrorInfo

_INTERRUPTED = "DagsterExecutionInterruptedError"
_LONGEST = 500
_NO_REASON = "no reason was given; see the Dagster UI"


def is_interruption(step: DagsterEvent) -> bool:
    """Return whether a step failed because its process was told to stop."""
    error = step.step_failure_data.error
    return error is not None and error.cls_name == _INTERRUPTED


def reason_of(step: DagsterEvent) -> str:
    """Return why a step failed."""
    data = step.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    return _NO_REASON if data.error is None else innermost(data.error)


def innermost(error: SerializableErrorInfo) -> str:
    """Return the error that began it in a line: what it caused says only where it came by."""
    while error.cause is not None:
        error = error.cause
    return shorten(error.message, _LONGEST) or error.cls_name or _NO_REASON
