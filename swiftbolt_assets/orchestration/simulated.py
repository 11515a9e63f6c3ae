"""Lets a process without provider keys fetch from a simulator of its own, over real HTTP.

Used where nobody has started one (no provider's address is set): one-shot commands and Dagster's
own. Every simulator of one seed serves the same bars, so it does not matter which one answers.

What belongs here: starting it once per process. What does not: the simulator itself.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from resources.dagster import HistoryResource, TodayResource
from resources.sources import Source
from swiftbolt_assets.orchestration.simulator_plan import simulator_config
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from resources.providers.capabilities import Capabilities
    from swiftbolt_assets.settings import Settings
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


def source_of(provider: Capabilities, settings: Settings) -> Source:
    """Return a provider as settings have it, this process's simulator where they name nothing."""
    return Source.of(provider, settings, simulator_url)


class SimulatedHistory(HistoryResource):
    """History from this process's simulator: no provider key is set."""

    def source(self) -> Source:
        """Return what opens it."""
        return replace(super().source(), simulator=simulator_url)


class SimulatedToday(TodayResource):
    """Today's bars from this process's simulator: no provider key is set."""

    def source(self) -> Source:
        """Return what opens it."""
        return replace(super().source(), simulator=simulator_url)
