"""Where a process imports from, told from its variables alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from swiftbolt_assets.startup import OwnModules, own_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("entries", "kept"),
    [
        ("", None),
        (":", None),
        (".:./x:lib", None),
        ("/a::/b:", "/dev/null:/a:/b"),
        ("/dev/null:/a", "/dev/null:/a"),
    ],
)
def test_only_absolute_entries_of_pythonpath_are_handed_down(
    entries: str, kept: str | None
) -> None:
    cleaned = own_environment({"PYTHONPATH": entries, "PYTHONDONTWRITEBYTECODE": "1", "X": "y"})
    expected = {"PYTHONSAFEPATH": "1", "X": "y"} | ({} if kept is None else {"PYTHONPATH": kept})
    assert cleaned == expected
    assert own_environment(cleaned) == cleaned


def test_what_dagster_puts_first_is_left_out_of_a_block_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = [str(tmp_path), *sys.path]
    monkeypatch.setattr(sys, "path", list(before))
    with OwnModules():
        assert str(tmp_path) not in sys.path
    assert sys.path == before


SHOW = """
import sys
from swiftbolt_assets import startup
startup.begin()
print(sys.path, sys.dont_write_bytecode)
import swiftbolt_assets.settings
"""


@pytest.mark.parametrize("entries", [None, "", ":", ":/nowhere", ".", "{here}"])
def test_a_process_leaves_the_folder_that_it_was_started_in(
    tmp_path: Path, entries: str | None
) -> None:
    """An entry that is absolute stays: somebody named it, and it is the same everywhere."""
    environment = dict(os.environ) | {"PYTHONDONTWRITEBYTECODE": "1"}
    if entries is not None:
        environment["PYTHONPATH"] = entries.format(here=tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    path = done.stdout
    assert path.endswith("False\n")
    assert ("''" in path, str(tmp_path) in path) == (False, entries == "{here}")


def test_a_process_in_a_folder_that_was_removed_starts(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", f'rmdir "{gone}"; exec "$0" -c "$1"', sys.executable, SHOW],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_command_in_a_folder_that_was_removed_is_refused_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        ["sh", "-c", (f'mkdir gone && cd gone && rmdir ../gone && "{sys.executable}" -m '
         "swiftbolt_assets backfill AAPL --days 5")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "SWIFTBOLT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )  # fmt: skip
    line = "swiftbolt: the current folder is gone; change to one that exists\n"
    assert (done.returncode, done.stderr) == (2, line)
    assert not (tmp_path / "home").exists()
