"""Each profile's `dagster.yaml`: Dagster takes it, and what runs the runs is what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from dagster._core.instance import InstanceRef
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.run_coordinator import QueuedRunCoordinator

from resources.platform.workers import Worker
from swiftbolt_assets.orchestration.celery.launcher import BeatingRunLauncher
from swiftbolt_assets.orchestration.celery.slots import (
    Limits,
    WorkerSlotsCoordinator,
    why_none_begins,
)
from swiftbolt_assets.orchestration.configuration import configuration_files
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

BROKER = "redis://:secret-word@127.0.0.1:1/0"


def loaded(folder: Path, profile: str, monkeypatch: pytest.MonkeyPatch) -> InstanceRef:
    environment = {
        "SWIFTBOLT_PROFILE": profile,
        "SWIFTBOLT_BROKER_URL": BROKER,
        "SWIFTBOLT_HOME": str(folder / "home"),
        "SWIFTBOLT_DATABASE_URL": "postgresql://u@127.0.0.1:1/bars",
        "SWIFTBOLT_DAGSTER_URL": "postgresql+psycopg2://u@127.0.0.1:1/dagster",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = configuration_files(read_settings(), "postgresql://u@127.0.0.1:1/dagster")[
        "dagster.yaml"
    ]
    assert "secret-word" not in text
    assert yaml.safe_load(text)["run_monitoring"]["enabled"]
    (folder / "dagster.yaml").write_text(text)
    return InstanceRef.from_dir(str(folder))


def test_local_runs_a_process_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(tmp_path, "local", monkeypatch)
    assert type(found.run_launcher) is DefaultRunLauncher
    assert type(found.run_coordinator) is QueuedRunCoordinator


def test_celery_hands_runs_to_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded(tmp_path, "celery", monkeypatch)
    assert isinstance(found.run_launcher, BeatingRunLauncher)
    assert found.run_launcher.celery.conf.broker_url == BROKER
    assert isinstance(found.run_coordinator, WorkerSlotsCoordinator)


def test_nothing_is_launched_while_the_broker_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    coordinator = loaded(tmp_path, "celery", monkeypatch).run_coordinator
    assert isinstance(coordinator, WorkerSlotsCoordinator)
    assert coordinator.get_run_queue_config().max_concurrent_runs == 0
    assert coordinator.get_run_queue_config().max_concurrent_runs == 0
    (record,) = caplog.records
    assert "SWIFTBOLT_BROKER_URL: redis://127.0.0.1:1/0 does not answer" in record.message
    assert "secret-word" not in record.message


@pytest.mark.parametrize(
    ("slots", "jobs", "limits"),
    [
        (0, 5, Limits(0, 1, 1)),
        (1, 5, Limits(1, 1, 1)),
        (2, 5, Limits(2, 1, 1)),
        (4, 5, Limits(4, 3, 1)),
        (6, 5, Limits(6, 5, 3)),
        (40, 5, Limits(6, 5, 3)),
    ],
)
def test_no_limit_is_above_the_slots(slots: int, jobs: int, limits: Limits) -> None:
    """Where there are two, one stays free for today's bars."""
    assert Limits.of(slots, jobs) == limits


@pytest.mark.parametrize(
    ("living", "told"),
    [
        ([], "no worker is there, so no run begins; start swiftbolt worker"),
        ([(True, False)], None),
        ([(False, True), (True, False)], None),
        ([(False, True), (True, True)], "no worker is there (1 of other code or settings), so no"),
    ],
)
def test_only_a_worker_of_this_code_that_does_not_drain_lets_runs_begin(
    living: list[tuple[bool, bool]], told: str | None
) -> None:
    workers = [
        Worker("one", "here", slots=2, running=0, draining=draining, is_ours=ours)
        for ours, draining in living
    ]
    reason = why_none_begins(workers)
    assert reason is None if told is None else str(reason).startswith(told)
