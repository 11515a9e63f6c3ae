"""How the parts are, looked at every ten seconds: who asks for it costs the database nothing.

What belongs here: the look, and what it is told as. What does not: the routes
(`api/routes/vitals.py`), the probe of the database (`resources/postgres/probing.py`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from resources.platform import vitals
from resources.postgres.probing import probe
from resources.providers.trouble import present_troubles
from swiftbolt_assets.api.prospects import TICK_OLD_S
from swiftbolt_assets.errors import ReadOnlyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.platform.vitals import Budget
    from resources.postgres.callers import CallerPool, Connection
    from swiftbolt_assets.policy.trouble import Trouble
    from swiftbolt_assets.settings import Settings

EVERY_S = 10.0
_PATIENCE = "set local statement_timeout = '3s'"
_SILENT_S = 10.0
#: Troubles told in one message.
_TOLD = 3


@dataclass(frozen=True)
class Found:
    """What one look found.

    Attributes:
        parts: by name, each with a `status` and maybe a `message`; `database` alone when it is
            down.
        at: when, by `time.monotonic()`.

    """

    parts: dict[str, dict[str, Any]]
    at: float = field(default_factory=time.monotonic)

    @property
    def status(self) -> str:
        """Return how all is: `ok`, `degraded` or `down`."""
        states = {part["status"] for part in self.parts.values()}
        return "down" if "down" in states else "ok" if states == {"ok"} else "degraded"

    @property
    def http_status(self) -> int:
        """Return 200 while the API can answer."""
        return 503 if self.status == "down" else 200

    def body(self, settings: Settings) -> dict[str, Any]:
        """Return the reply."""
        told: dict[str, Any] = {"status": self.status}
        if self.status != "down":
            told["data_source"] = "simulated" if settings.simulated else "real"
            told["market_now"] = settings.clock.now()
        told["seconds_since_look"] = round(time.monotonic() - self.at, 1)
        return told | {"parts": self.parts}


class Checkup:
    """Looks again and again, and keeps what it found last.

    Args:
        pool: connections to the bars' database.
        every_s: seconds between two looks.

    """

    def __init__(self, pool: CallerPool, every_s: float = EVERY_S) -> None:
        self._pool = pool
        self._every_s = every_s
        self._found = Found(_down("not looked at yet"))

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._every_s)
            await run_in_threadpool(self.look)

    def latest(self) -> Found:
        """Return what was found last; a look that does not come back is an answer, too."""
        silent_s = time.monotonic() - self._found.at - self._every_s
        if silent_s > _SILENT_S:
            return Found(_down(f"no answer in {silent_s:.0f} s"))
        return self._found

    def look(self) -> None:
        """Look once; what fails is looked at once more: a lost connection is not a lost server."""
        try:
            self._found = self._looked()
        except StorageError:
            try:
                self._found = self._looked()
            except StorageError as error:
                self._found = Found(_down(str(error)))

    def _looked(self) -> Found:
        began = time.monotonic()
        with self._pool.transaction() as connection:
            connection.execute(_PATIENCE)
            database = _writing(connection)
            age, budgets = vitals.tick_age(connection), vitals.budgets(connection)
            troubles = present_troubles(connection)
        database["milliseconds"] = round((time.monotonic() - began) * 1000, 1)
        return Found(
            {
                "database": database,
                "platform": tick_state(age, can_tell=database["status"] != "read-only"),
                "answers": answers_state(troubles),
                **{budget.provider: budget_state(budget) for budget in budgets},
            }
        )


def _down(why: str) -> dict[str, dict[str, Any]]:
    return {"database": {"status": "down", "message": why}}


def _writing(connection: Connection) -> dict[str, Any]:
    """Return whether work can be done on the database."""
    try:
        probe(connection)
    except ReadOnlyError as error:
        return {"status": "read-only", "message": str(error)}
    return {"status": "ok"}


def tick_state(age: float | None, *, can_tell: bool = True) -> dict[str, Any]:
    """Return whether the platform ticks, judged by its own last word.

    Args:
        age: seconds since then, None before the first.
        can_tell: whether it could write one.

    """
    if not can_tell:
        return {"status": "unknown", "message": "its ticks cannot be written down"}
    if age is None:
        return {"status": "stopped", "message": "it has never run; swiftbolt up starts it"}
    shown = {"seconds_since_tick": round(age, 1)}
    if age > TICK_OLD_S:
        return {"status": "stopped", "message": "no tick; swiftbolt up starts it", **shown}
    return {"status": "ok", **shown}


def answers_state(found: Sequence[Trouble]) -> dict[str, Any]:
    """Return whether providers answer as they usually do, and each symbol gets something."""
    if not found:
        return {"status": "ok"}
    more = len(found) - _TOLD
    told = "; ".join(one.text for one in found[:_TOLD])
    return {"status": "failing", "message": told + (f"; and {more} more" if more > 0 else "")}


def budget_state(budget: Budget) -> dict[str, Any]:
    """Return whether a provider is asked, and what is left of its minute."""
    shown: dict[str, Any] = {}
    if budget.per_minute:
        shown = {
            "requests_a_minute": budget.per_minute,
            "requests_free": budget.free,
            "waiting": budget.waiting,
        }
    if budget.reason is not None:
        shown |= {"message": budget.reason, "cooling_down_s": round(budget.cooling_s)}
        return {"status": "cooling_down", **shown}
    return {"status": "ok", **shown}
