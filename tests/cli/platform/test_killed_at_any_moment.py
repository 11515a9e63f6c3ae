"""Ten symbols fill while everything is killed in turn: all complete, little asked twice."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SYMBOLS = ["MSFT", "NVDA", "GOOGL", "TSLA", "AMD", "META", "NFLX", "ADBE", "BRK.B", "THIN"]
FIRST, LAST = "2025-11-20", "2026-11-19"


@pytest.fixture(scope="module")
def up(new_up: Callable[..., Any], slow_market: Any) -> Any:
    return new_up(POLYGON_BASE_URL=slow_market.url, TRADIER_BASE_URL=slow_market.url)


class Hangman:
    """Kills a platform's processes, and waits until they are there again."""

    def __init__(self, up: Any, wait_for: Callable[..., Any]) -> None:
        self._up, self._wait_for = up, wait_for

    def settled(self) -> int:
        """Return how many sessions are settled, -1 while the database is away."""
        rows = self._up.rows("select count(*) from session_coverage where state = 'final'")
        return rows[0][0] if rows else -1

    def kill_a_run(self) -> None:
        victims = self._wait_for(lambda: self._up.runs, "a run is at work", 60)
        os.kill(victims[0].pid, signal.SIGKILL)

    def kill_part(self, name: str) -> None:
        before = self._up.note["parts"][name]
        os.kill(before, signal.SIGKILL)
        self._wait_for(
            lambda: self._up.note["parts"].get(name) not in (None, before), f"{name} again", 60
        )

    def kill_database(self) -> None:
        data = embedded.locate(self._up.shell.home).data
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        self._wait_for(lambda: self.settled() >= 0, "the database answers again", 60)

    def kill_everything(self) -> None:
        self._up.kill()
        gone = ([], ["the embedded database"])
        self._wait_for(lambda: self._up.shell.left_over() in gone, "all ended", 30)
        self._up.start()


def test_eighty_jobs_of_ten_symbols_end_complete_and_equal(
    up: Any, slow_market: Any, wait_for: Callable[..., Any]
) -> None:
    hangman = Hangman(up, wait_for)
    chance = random.Random(20261120)  # noqa: S311 - moments, not secrets
    for symbol in SYMBOLS:
        up.track(symbol)
    kills = [
        hangman.kill_a_run,
        lambda: hangman.kill_part("daemon"),
        lambda: hangman.kill_part("code-location"),
        hangman.kill_database,
        hangman.kill_a_run,
        hangman.kill_everything,
    ]
    for kill in kills:
        # Somewhere in the next hundred sessions.
        least = hangman.settled() + chance.randrange(10, 100)
        wait_for(lambda least=least: hangman.settled() >= least, "work goes on", 120)
        kill()
    for symbol in SYMBOLS:
        wait_for(lambda name=symbol: up.is_complete(name), f"{symbol} is complete", 240)

    left = up.rows("select count(*) from job_runs where status in ('queued', 'running', 'failed')")
    assert left == [(0,)]
    assert [
        (name, bad)
        for name in SYMBOLS
        if (bad := up.differences(slow_market, name, FIRST, LAST, stored_from=FIRST))
    ] == []
    asked = [entry for entry in slow_market.requests() if entry["path"].startswith("/v2/aggs/")]
    # At most five runs were in flight at each kill; THIN has sessions that take a second answer.
    assert len(asked) <= 5 * len(SYMBOLS) + 5 * len(kills) + 5
