"""What sensors share whose jobs ask a provider in spare time, one run at once.

What belongs here: their runs' tags and length, and why the provider is left alone. What does not:
when something is due (`splits.py`, `tickers.py`), whether a run is under way (`under_way.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from resources.providers.health import ProviderHealth
from resources.providers.registry import HISTORY
from swiftbolt_assets.assets.bars import PRIORITY_TAG
from swiftbolt_assets.orchestration.launching import FILL_TAG, LANE_TAG

if TYPE_CHECKING:
    from resources.storage import Storage

#: After every other run, and in none of the slots that today's bars have for themselves.
TAGS = {PRIORITY_TAG: "-1", FILL_TAG: "true", LANE_TAG: "bulk"}
#: A run that is older was lost; the next one starts without it.
LONGEST_RUN = timedelta(minutes=30)


def reason_to_rest(storage: Storage) -> str | None:
    """Return why the provider of history is left alone, one sentence; None when it is not.

    Raises:
        StorageError: the database does not answer.

    """
    cooling = ProviderHealth(storage.database.transaction).rests(HISTORY.name)
    return None if cooling is None else str(cooling.error())
