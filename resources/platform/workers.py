"""Workers and the runs on them, as their beats in the database show.

Whether a worker or a run lives is told by how long ago its row beat, by the database's clock alone.
That needs no answer from the worker, so one that drains is not taken for dead, and one that was
killed is not taken for alive because another came back under its name.

What belongs here: the statements about tables `workers` and `worker_runs`. What does not: who beats
(`orchestration/celery/`: `worker.py`, `run_beats.py`), what follows from silence (`launcher.py`
there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from resources.postgres.database import Database

BEAT_EVERY_S = 2.0
#: Slots of a worker that has been silent for so long are not counted on.
SLOTS_SILENT_S = 6.0
#: Longer than the broker delivers a message again after (`orchestration/celery/app.py`).
_FORGET_DAYS = 7


@dataclass(frozen=True)
class Worker:
    """A worker that beats.

    Attributes:
        name: what its operator called it.
        host: its machine.
        slots: runs that it takes at once.
        running: runs that beat on it now.
        draining: it takes no more.
        is_ours: it serves the queue that was asked about.

    """

    name: str
    host: str
    slots: int
    running: int
    draining: bool
    is_ours: bool


@dataclass(frozen=True, slots=True)
class RunBeat:
    """A run on a worker.

    Attributes:
        silent_s: since its last beat.
        ended: its process has said that it is through with it.

    """

    silent_s: float
    ended: bool


class WorkerBook:
    """Who works, and for which code; each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def installation_id(self) -> str:
        """Return what tells this database's installation from others on the same broker."""
        return self._installation("id") or ""

    def set_platform_queue(self, queue: str) -> None:
        """Note the queue of the platform's code."""
        with self._database.transaction() as connection:
            connection.execute(
                "insert into installation (name, value) values ('queue', %s)"
                " on conflict (name) do update set value = excluded.value,"
                " changed_at = clock_timestamp()",
                (queue,),
            )

    def of_host(self, host: str) -> dict[UUID, int]:
        """Return the process id of each worker that was started on a machine, by worker."""
        with self._database.transaction() as connection:
            rows = connection.execute("select id, pid from workers where host = %s", (host,))
            return dict(rows.fetchall())

    def forget(self, ids: Collection[UUID]) -> None:
        """Remove workers, and what nobody asks for any more."""
        with self._database.transaction() as connection:
            connection.execute(
                "delete from workers where id = any(%s)"
                " or beat_at < clock_timestamp() - make_interval(days => %s)",
                (list(ids), _FORGET_DAYS),
            )
            connection.execute(
                "delete from worker_runs"
                " where beat_at < clock_timestamp() - make_interval(days => %s)",
                (_FORGET_DAYS,),
            )

    def register(
        self, worker_id: UUID, *, name: str, host: str, pid: int, queue: str, slots: int
    ) -> None:
        """Add a worker that takes runs from now on."""
        with self._database.transaction() as connection:
            connection.execute(
                "insert into workers (id, name, host, pid, queue, slots)"
                " values (%s, %s, %s, %s, %s, %s)",
                (worker_id, name, host, pid, queue, slots),
            )

    def beat(self, worker_id: UUID) -> str | None:
        """Say that a worker lives; return the queue of the platform's code."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "with beat as (update workers set beat_at = clock_timestamp() where id = %s)"
                " select value from installation where name = 'queue'",
                (worker_id,),
            ).fetchone()
        return None if row is None else str(row[0])

    def drain(self, worker_id: UUID) -> None:
        """Say that a worker takes no more runs."""
        with self._database.transaction() as connection:
            connection.execute("update workers set draining = true where id = %s", (worker_id,))

    def slots(self, queue: str) -> int:
        """Return how many runs may be at work at once: slots that are there, or still in use."""
        with self._database.transaction() as connection:
            row = connection.execute(
                f"select sum(case when draining then running else slots end)"  # noqa: S608 - ours
                f" from ({_LIVE}) w where queue = %(queue)s or draining",
                {"silent": SLOTS_SILENT_S, "queue": queue},
            ).fetchone()
        return int(row[0]) if row and row[0] else 0

    def living(self, queue: str) -> list[Worker]:
        """Return the workers that beat, by name; `queue` is the one that counts as ours."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"select name, host, slots, running, draining, queue = %(queue)s"  # noqa: S608
                f" from ({_LIVE}) w order by name, started_at",
                {"silent": SLOTS_SILENT_S, "queue": queue},
            ).fetchall()
        return [Worker(*row) for row in rows]

    def _installation(self, name: str) -> str | None:
        with self._database.transaction() as connection:
            row = connection.execute(
                "select value from installation where name = %s", (name,)
            ).fetchone()
        return None if row is None else str(row[0])


class RunBook:
    """Runs on workers; each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, run_id: str, worker_id: UUID) -> bool:
        """Take a run; return whether nobody had it, nor it was stopped before."""
        with self._database.transaction() as connection:
            taken = connection.execute(
                "insert into worker_runs (run_id, worker_id) values (%s, %s)"
                " on conflict (run_id) do nothing",
                (run_id, worker_id),
            )
            return taken.rowcount == 1

    def beat(self, run_id: str) -> bool:
        """Say that a run is at work; return whether it is to end."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "update worker_runs set beat_at = clock_timestamp() where run_id = %s"
                " returning stop_requested",
                (run_id,),
            ).fetchone()
        return bool(row and row[0])

    def end(self, run_id: str) -> None:
        """Say that a run's process is through with it, however it went."""
        with self._database.transaction() as connection:
            connection.execute(
                "update worker_runs set ended_at = clock_timestamp(), beat_at = clock_timestamp()"
                " where run_id = %s",
                (run_id,),
            )

    def look(self, run_id: str) -> RunBeat | None:
        """Return how a run is, None when no worker has begun it."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "select extract(epoch from clock_timestamp() - beat_at)::float8,"
                " ended_at is not null from worker_runs where run_id = %s",
                (run_id,),
            ).fetchone()
        return None if row is None else RunBeat(*row)

    def stop(self, run_id: str) -> bool:
        """Have a run end; return whether a worker has it and will."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "insert into worker_runs as r (run_id, ended_at, stop_requested)"
                " values (%s, clock_timestamp(), true)"
                " on conflict (run_id) do update set stop_requested = true"
                " returning r.worker_id is not null and r.ended_at is null",
                (run_id,),
            ).fetchone()
        return bool(row and row[0])


_LIVE = """
select w.*, (
  select count(*) from worker_runs r
   where r.worker_id = w.id and r.ended_at is null
     and r.beat_at > clock_timestamp() - make_interval(secs => %(silent)s)
) as running
from workers w where w.beat_at > clock_timestamp() - make_interval(secs => %(silent)s)
"""
