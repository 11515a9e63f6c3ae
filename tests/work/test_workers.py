"""Workers and their runs by their beats: who counts, who is lost, and what is never done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from dagster import DagsterRun
from dagster._core.launcher import WorkerStatus

from resources.platform.workers import RunBook, WorkerBook
from swiftbolt_assets.orchestration.celery import code_queue
from swiftbolt_assets.orchestration.celery import launcher as celery_launcher
from swiftbolt_assets.orchestration.celery.launcher import BeatingRunLauncher
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from resources.postgres.database import Database

pytestmark = pytest.mark.slow
BROKER = "redis://127.0.0.1:1/0"


def worker(book: WorkerBook, name: str, *, queue: str = "ours", slots: int = 2) -> UUID:
    worker_id = uuid4()
    book.register(worker_id, name=name, host="host", pid=1, queue=queue, slots=slots)
    return worker_id


def silence(database: Database, table: str, seconds: float) -> None:
    """Let all rows of a table have beaten last so long ago."""
    with database.connect() as sql:
        sql.execute(
            f"update {table} set beat_at = clock_timestamp() - make_interval(secs => {seconds})"
        )


@pytest.fixture
def launcher(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BeatingRunLauncher:
    monkeypatch.setenv("SWIFTBOLT_DATABASE_URL", database.url)
    monkeypatch.setenv("SWIFTBOLT_HOME", str(tmp_path))
    return BeatingRunLauncher(BROKER)


def test_a_run_is_begun_once_however_often_its_message_comes(database: Database) -> None:
    runs = RunBook(database)
    assert runs.begin("r", uuid4())
    assert not runs.begin("r", uuid4())
    runs.end("r")
    assert not runs.begin("r", uuid4())


def test_a_run_that_is_stopped_before_it_begins_never_begins(database: Database) -> None:
    runs = RunBook(database)
    assert not runs.stop("r")
    assert not runs.begin("r", uuid4())


def test_a_run_hears_at_its_next_beat_that_it_is_to_end(database: Database) -> None:
    runs = RunBook(database)
    runs.begin("r", uuid4())
    assert not runs.beat("r")
    assert runs.stop("r")
    assert runs.beat("r")


def test_slots_are_those_of_living_workers_of_this_code(database: Database) -> None:
    book = WorkerBook(database)
    assert book.slots("ours") == 0
    worker(book, "silent", slots=8)
    silence(database, "workers", 7)
    worker(book, "one")
    worker(book, "one", slots=3)
    worker(book, "old", queue="theirs", slots=16)
    assert book.slots("ours") == 5
    assert [(w.name, w.slots, w.is_ours) for w in book.living("ours")] == [
        ("old", 16, False),
        ("one", 2, True),
        ("one", 3, True),
    ]


def test_a_draining_worker_counts_with_the_runs_that_it_still_has(database: Database) -> None:
    book, runs = WorkerBook(database), RunBook(database)
    draining = worker(book, "old", queue="theirs", slots=4)
    for run_id in ("a", "b", "over"):
        runs.begin(run_id, draining)
    runs.end("over")
    worker(book, "new", slots=1)
    book.drain(draining)
    assert book.slots("ours") == 1 + 2


@pytest.mark.parametrize(
    ("happened", "reason"),
    [
        ("nothing", "no worker has begun it"),
        ("silence", "its worker has not beaten for "),
        ("end", "its worker was through with it before it was finished"),
    ],
)
def test_what_is_lost_is_failed_at_the_second_look(
    launcher: BeatingRunLauncher,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    happened: str,
    reason: str,
) -> None:
    """After an outage of the database all are silent, and the next beat is on its way."""
    run, runs = DagsterRun(job_name="fill"), RunBook(database)
    if happened != "nothing":
        runs.begin(run.run_id, uuid4())
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    if happened == "silence":
        silence(database, "worker_runs", celery_launcher.LOST_S + 1)
    if happened == "end":
        runs.end(run.run_id)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    monkeypatch.setattr(celery_launcher, "_GRACE_S", 0.0)
    found = launcher.check_run_worker_health(run)
    assert found.status is WorkerStatus.FAILED
    assert str(found.msg).startswith(reason)
    # Should its process live after all, it ends.
    assert runs.beat(run.run_id)


def test_a_beat_between_two_looks_clears_the_suspicion(
    launcher: BeatingRunLauncher, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, runs = DagsterRun(job_name="fill"), RunBook(database)
    runs.begin(run.run_id, uuid4())
    silence(database, "worker_runs", celery_launcher.LOST_S + 1)
    launcher.check_run_worker_health(run)
    runs.beat(run.run_id)
    monkeypatch.setattr(celery_launcher, "_GRACE_S", 0.0)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    silence(database, "worker_runs", celery_launcher.LOST_S + 1)
    monkeypatch.setattr(celery_launcher, "_GRACE_S", 3600.0)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_queue_is_named_after_installation_code_and_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = read_settings({})
    name = code_queue.queue_name(settings, "a")
    assert code_queue.queue_name(read_settings({"SWIFTBOLT_HOST": "::1"}), "a") == name
    others = [
        code_queue.queue_name(settings, "b"),
        code_queue.queue_name(read_settings({"RESAMPLE_H4_FROM_M15": "false"}), "a"),
        code_queue.queue_name(read_settings({"POLYGON_REQUESTS_PER_MINUTE": "6"}), "a"),
    ]
    monkeypatch.setattr(code_queue, "_code_hash", lambda: "other code")
    others.append(code_queue.queue_name(settings, "a"))
    assert len({name, *others}) == 1 + len(others)
