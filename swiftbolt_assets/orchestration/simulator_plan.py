"""Which simulator the settings ask for: its clock and the plan that it plays.

No Dagster here: `swiftbolt simulate` starts without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.providers.registry import HISTORY
from swiftbolt_assets.simulator.config import SimulatorConfig

if TYPE_CHECKING:
    from swiftbolt_assets.settings import Settings

_FREE_PLAN_YEARS = 2


def simulator_config(settings: Settings) -> SimulatorConfig:
    """Return the simulator that plays the settings' plan on their market clock."""
    free = settings.simulator_plan == "free"
    return SimulatorConfig(
        now=settings.clock.now,
        polygon_requests_per_minute=HISTORY.per_minute if free else 0,
        horizon_years=_FREE_PLAN_YEARS if free else None,
    )
