"""One simulator for the whole folder, its clock stopped on Friday 2026-11-20, 17:30 in New York."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorThread]:
    with SimulatorThread(SimulatorConfig(now=lambda: NOW, tradier_allowed=0)) as running:
        yield running


@pytest.fixture(scope="session")
def api(simulator: SimulatorThread) -> Iterator[httpx.Client]:
    """Yield a client of the shared simulator, with a key."""
    with _client(simulator) as client:
        yield client


@pytest.fixture
def start() -> Iterator[Callable[..., httpx.Client]]:
    """Start a simulator with settings of its own; returns a client of it."""
    running: list[tuple[SimulatorThread, httpx.Client]] = []

    def start_one(**settings: object) -> httpx.Client:
        config = SimulatorConfig(**{"now": lambda: NOW, **settings})
        thread = SimulatorThread(config).start()
        running.append((thread, _client(thread)))
        return running[-1][1]

    yield start_one
    for thread, client in running:
        client.close()
        thread.stop()


def _client(simulator: SimulatorThread) -> httpx.Client:
    return httpx.Client(
        base_url=simulator.polygon_url,
        headers={"Authorization": "Bearer any", "Accept": "application/json"},
        trust_env=False,
        timeout=20,
    )
