"""A closure that one process adds is known to a server that runs already."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from rehearsal.commands import Commands

pytestmark = pytest.mark.slow

#: The API's market clock stands at Friday's evening.
MONDAY = "2026-11-23"


@pytest.fixture
def run(
    api: Any, tmp_path: Path, surroundings: dict[str, str], commands: Commands
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs a command on the server's database, in a process of its own."""
    environment = surroundings | {
        "SWIFTBOLT_HOME": str(tmp_path),
        "SWIFTBOLT_DATABASE_URL": api.database.url,
        "SWIFTBOLT_NOW": "2026-11-20T17:30:00-05:00",
    }

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return commands.run("calendar", *arguments, env=environment)

    return command


def test_a_running_server_knows_within_a_minute_what_another_process_adds_and_removes(
    api: Any, run: Callable[..., subprocess.CompletedProcess[str]], wait_for: Callable[..., Any]
) -> None:
    def market() -> list[str]:
        told = api.get("market-status").json["market"]
        return [told["nextOpen"], told["nextClose"]]

    whole = ["2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"]
    assert market() == whole
    done = run("add", MONDAY, "--closed", "--reason", "day of mourning")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "2026-11-23 is closed instead of closing at 16:00; every process knows it within a minute\n"
    )
    wait_for(lambda: market()[0] == "2026-11-24T14:30:00Z", "the server knows it", 60.0)
    again = run("add", MONDAY, "--closed", "--reason", "day of mourning")
    assert (again.returncode, again.stdout) == (0, "2026-11-23 is closed: it is known already\n")
    assert run("add", MONDAY, "--closes", "12:30").returncode == 0
    (told,) = json.loads(run("list", "--json").stdout)["changes"]
    assert {**told, "added_at": ""} == {
        "day": MONDAY,
        "closes": "12:30",
        "instead_of": "16:00",
        "reason": "",
        "added_at": "",
        "bars_aside": 0,
    }
    assert "2026-11-23  12:30   16:00 " in run("list").stdout
    wait_for(lambda: market()[1] == "2026-11-23T17:30:00Z", "the early close is known", 60.0)
    assert run("remove", MONDAY).returncode == 0
    wait_for(lambda: market() == whole, "it is known that it was taken back", 60.0)
    gone = run("remove", MONDAY)
    assert (gone.returncode, gone.stdout) == (2, "")
    assert gone.stderr == (
        "swiftbolt: day: 2026-11-23 has no change; swiftbolt calendar list shows those there are\n"
    )
    assert "Nothing was changed since" in run("list").stdout


def test_wrong_usage_ends_in_one_line_and_exit_code_2(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for arguments in (["add", MONDAY], ["add", "2026-11-22", "--closed"], ["remove", "never"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
