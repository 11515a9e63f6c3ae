"""How old an asset's newest report may be: the policy of the catalogue.

A policy of Dagster knows a cron or a span of time: a cron alarms on every holiday, so ours is the
longest span in which the exchange is closed, such as from the early close before Independence Day
to the Monday after. It fails only where nobody has reported a bar for longer than that.

What belongs here: that span. What does not: the check that knows sessions (`checks/fresh.py`).
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from swiftbolt_assets.market.sessions import Calendar

#: From an open to the first report: a tick, the run, and room for a slow minute.
_FIRST_REPORT = timedelta(minutes=15)


def policy(calendar: Calendar) -> dg.FreshnessPolicy:
    """Return the policy: no closed time of the calendar breaks it.

    Args:
        calendar: at least two sessions.

    """
    closed = max(after.opens - before.closes for before, after in pairwise(calendar.sessions))
    return dg.FreshnessPolicy.time_window(fail_window=closed + _FIRST_REPORT)
