"""The tags in which Dagster keeps what becomes of a run; it exports none of them.

What belongs here: tags that Dagster writes. What does not: our own (`orchestration/launching.py`).
"""

from __future__ import annotations

from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG as SUCCESSOR_TAG
from dagster._core.storage.tags import WILL_RETRY_TAG

#: `WILL_RETRY_TAG` says whether Dagster starts a failed run again, `SUCCESSOR_TAG` which run that
#: is.
__all__ = ["SUCCESSOR_TAG", "WILL_RETRY_TAG"]
