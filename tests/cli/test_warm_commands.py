"""A forked command, as most tests here use it, is what a person's cold one is."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import
from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--version"], {}),
        (["--help"], {"COLUMNS": "70"}),
        (["backfill", "--days", "seven"], {}),
        (["track", "AAPL", "--source", "nowhere"], {}),
        (["status"], {"SWIFTBOLT_HOME": "/proc/nowhere"}),
        (["migrate"], {"SWIFTBOLT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}),
        (["jobs", "set", "AAPL", "--enabled", "--json"], {}),
    ],
)
def test_it_says_the_same_and_ends_alike(
    shell: Any, arguments: list[str], environment: dict[str, str]
) -> None:
    warm = shell.run(*arguments, **environment)
    cold = shell.run(*arguments, cold=True, **environment)
    assert warm == cold


def test_it_has_its_own_folder_and_imports_nothing_of_it(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "typing.py").write_text("raise SystemExit(9)")
    for cold in (False, True):
        done = shell.run("restore", "here.dump", cwd=tmp_path, cold=cold)
        assert done.one_line() == "FILE: here.dump cannot be read (No such file or directory)"
        (tmp_path / "here.dump").write_text("")
        found = shell.run("restore", "here.dump", cwd=tmp_path, cold=cold).one_line()
        assert "No such file" not in found
        (tmp_path / "here.dump").unlink()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it_alike(
    shell: Any, finish: Callable[..., Any], kind: signal.Signals
) -> None:
    codes = []
    for cold in (False, True):
        process = shell.start("simulate", "--port-offset", "9000", cold=cold)
        assert process.poll() is None
        line = process.stdout.readline()
        assert line
        os.kill(process.pid, kind)
        codes.append(finish(process, 30).code)
    assert codes[0] == codes[1]


def test_it_is_a_process_that_has_dagster_already(shell: Any, wait_for: Callable[..., Any]) -> None:
    process = shell.start("simulate", "--port-offset", "9000")
    maps = f"/proc/{process.pid}/maps"

    def is_warm() -> bool:
        with open(maps) as opened:  # noqa: PTH123 - a file of the kernel
            return "pydantic_core" in opened.read()

    wait_for(is_warm, "Dagster's libraries are there")
