"""Lets a process without provider keys fetch from a simulator of its own, over real HTTP.

Used where nobody has started one (`POLYGON_BASE_URL` is unset): one-shot commands and Dagster's
own. Every simulator of one seed serves the same bars, so it does not matter which one answers.

What belongs here: starting it once per process. What does not: the simulator itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from resources.dagster import PolygonResource, TradierResource
from swiftbolt_assets.orchestration.simulator_plan import simulator_config
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from resources.contract import BarProvider
    from resources.dagster import Storage
    from resources.polygon_splits import PolygonSplits
    from resources.polygon_tickers import PolygonTickers
    from swiftbolt_assets.simulator.server import SimulatorThread

#: This process's simulator, by process id: a forked child starts its own.
_running: dict[int, SimulatorThread] = {}


def simulator_url() -> str:
    """Return the base URL of this process's simulator, started when first asked for."""
    from swiftbolt_assets.simulator.server import SimulatorThread

    thread = _running.get(os.getpid())
    if thread is None:
        thread = SimulatorThread(simulator_config(read_settings()))
        thread.start()
        _running[os.getpid()] = thread
    return thread.polygon_url


class SimulatedPolygon(PolygonResource):
    """History from this process's simulator: no provider key is set."""

    def open(self, storage: Storage, *, probe: bool = False, single: bool = False) -> BarProvider:
        """Return the client of the simulator."""
        return self._reached().open(storage, probe=probe, single=single)

    def open_splits(self, storage: Storage) -> PolygonSplits:
        """Return the client of the simulator."""
        return self._reached().open_splits(storage)

    def open_tickers(self, storage: Storage) -> PolygonTickers:
        """Return the client of the simulator."""
        return self._reached().open_tickers(storage)

    def _reached(self) -> PolygonResource:
        return PolygonResource(
            base_url=simulator_url(), requests_per_minute=self.requests_per_minute
        )


class SimulatedTradier(TradierResource):
    """Today's bars from this process's simulator: no provider key is set."""

    def open(
        self, storage: Storage, *, probe: bool = False, single: bool = False
    ) -> BarProvider | None:
        """Return the client of the simulator."""
        return TradierResource(
            base_url=simulator_url(), requests_per_minute=self.requests_per_minute
        ).open(storage, probe=probe, single=single)
