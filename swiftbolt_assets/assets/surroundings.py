"""Where bars come from and who reads them: assets that Dagster shows and never makes.

They complete the picture of the lineage. Each lies in a group of its own side, so that whatever
selects the group of the bars leaves them alone. What belongs here: their names and texts. What
does not: the bars (`catalogue.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from resources.providers.registry import HISTORY, TODAY

if TYPE_CHECKING:
    from collections.abc import Iterable

AGGREGATES = dg.AssetKey([HISTORY.name, "aggregates"])
TIMESALES = dg.AssetKey([TODAY.name, "timesales"])
TRACKING = dg.AssetKey("user_symbol_tracking")
CHART = dg.AssetKey("chart")
#: What the 15-minute bars rest on.
SOURCES = (AGGREGATES, TIMESALES, TRACKING)


def surrounding_specs(bars: Iterable[dg.AssetKey]) -> tuple[dg.AssetSpec, ...]:
    """Return what lies around some bar assets."""
    return (
        dg.AssetSpec(
            AGGREGATES,
            group_name="sources",
            description=f"{HISTORY.label}'s 15-minute aggregates: all sessions before today.",
            kinds={"api"},
        ),
        dg.AssetSpec(
            TIMESALES,
            group_name="sources",
            description=f"{TODAY.label}'s time and sales: the session of today.",
            kinds={"api"},
        ),
        dg.AssetSpec(
            TRACKING,
            group_name="sources",
            description="Which symbols people look at: what is filled, and what first.",
            kinds={"table", "postgres"},
        ),
        dg.AssetSpec(
            CHART,
            deps=bars,
            group_name="readers",
            description="The chart and the HTTP API, which read the bars.",
            kinds={"fastapi"},
        ),
    )
