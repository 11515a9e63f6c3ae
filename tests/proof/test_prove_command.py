"""`swiftbolt prove` as a person runs it: its exit codes, its one line, its file."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from rehearsal.commands import Commands

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


@pytest.fixture
def command(commands: Commands) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs `prove`."""
    return lambda *arguments: commands.run("prove", *arguments, env=os.environ)


def test_a_changed_bar_ends_in_one_line_and_exit_code_1(
    notary: Callable[..., Any],
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    one = notary(NOW)
    one.fill("AAPL", date(2026, 11, 16), date(2026, 11, 19))
    path = tmp_path / "cert.json"
    done = command("aapl", "--file", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "  bars       104 m15, 28 h1, 8 h4\n" in done.stdout
    again = command("AAPL", "--json")
    assert (again.returncode, json.loads(again.stdout)["result"]) == (0, "verified")
    assert json.loads(again.stdout)["certificate"] == json.loads(path.read_bytes())
    one.rows("delete from ohlc_bars_v2 where timeframe = 'h1' and ts = '2026-11-17T15:30Z'")
    for arguments in (["AAPL"], ["AAPL", "--verify", str(path)]):
        failed = command(*arguments)
        assert failed.returncode == 1
        assert failed.stdout == "AAPL h1 2026-11-17T15:30:00Z was deleted\n"
        assert failed.stderr.startswith("swiftbolt: AAPL h1 2026-11-17T15:30:00Z was deleted since")
        assert failed.stderr.count("\n") == 1


def test_wrong_usage_ends_in_exit_code_2(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    path = str(tmp_path / "none.json")
    for arguments in (
        ["A B"],
        ["AAPL", "--verify", path],
        ["AAPL", "--verify", path, "--file", path],
    ):
        refused = command(*arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
