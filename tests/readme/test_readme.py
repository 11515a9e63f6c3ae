"""The README is true: its commands run, its settings exist, its links lead somewhere."""

# ruff: noqa: N802 - a test that proves a promise of the feature list carries its number

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from resources import embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")

#: Commands that serve until they are interrupted -> the line that says they do.
SERVING = {"make demo": "(Ctrl-C stops)", "swiftbolt up": "Ctrl-C stops it."}
#: What a block needs that talks to the API.
SERVER = "swiftbolt serve"
#: `curl -s URL [-H HEADER]... [-d BODY]`.
CURL = """
import sys, urllib.request
words, headers, body, url = sys.argv[1:], {}, None, ""
while words:
    word = words.pop(0)
    if word == "-H":
        name, _, value = words.pop(0).partition(": ")
        headers[name] = value
    elif word == "-d":
        body = words.pop(0).encode()
    elif word != "-s":
        url = word
print(urllib.request.urlopen(urllib.request.Request(url, body, headers)).read().decode())
"""
#: The command that runs this test.
OURSELVES = "make test"


def shell_blocks() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [block.strip().splitlines() for block in blocks]


def sql_statements() -> list[str]:
    (block,) = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    return [part for part in block.split(";") if part.strip()]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return an environment with a home of its own, on a quiet market clock."""
    home = tmp_path / "state"
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SWIFTBOLT_", "POLYGON_", "TRADIER_", "DAGSTER_", "COV_"))
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "SWIFTBOLT_HOME": str(home),
        "SWIFTBOLT_NOW": "2026-11-20T17:30:00-05:00",
    }
    try:
        yield environment
    finally:
        for place in (home, home / "demo"):
            embedded.erase(place)


def with_curl(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment with a `curl` that fails on an error's status, as the page's must not.

    Machines without one get this short stand-in: the page promises Python and make alone.
    """
    folder = Path(environment["SWIFTBOLT_HOME"]).parent / "bin"
    folder.mkdir(exist_ok=True)
    real = shutil.which("curl", path=environment["PATH"])
    script = folder / "curl"
    if real:
        script.write_text(f'#!/bin/sh\nexec {real} --fail-with-body "$@"\n')
    else:
        script.write_text(f"#!{sys.executable}\n{CURL}")
    script.chmod(0o755)
    return environment | {"PATH": f"{folder}{os.pathsep}{environment['PATH']}"}


def run_block(block: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(block)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{block}: {done.stderr[-2000:]}"


def serve_and_interrupt(
    command: str,
    sign: str,
    environment: dict[str, str],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Run a command until it says that it serves, then interrupt it as Ctrl-C does."""
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A test runner that was started in the background ignores SIGINT, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if sign in line:
                    meanwhile()
                    os.killpg(process.pid, signal.SIGINT)
                    break
            rest, _ = process.communicate(timeout=60)
            code = process.returncode
        finally:
            # Nothing outlives a failure, or this would wait for it for ever.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    # make reports its own interruption; what matters is that the command itself ended well.
    assert code in {0, 2, 130, -signal.SIGINT}, "".join(said) + rest
    assert "Traceback" not in "".join(said) + rest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_B8_every_command_of_the_readme_runs(installation: dict[str, str]) -> None:
    """In the order of the page; what serves is interrupted once it says so."""
    seen = []
    for block in shell_blocks():
        if block == [OURSELVES]:
            continue
        if any(line.startswith("curl ") for line in block):
            talk = partial(run_block, block, with_curl(installation))
            serve_and_interrupt(SERVER, SERVING["swiftbolt up"], installation, talk)
            seen += block
            continue
        serving = [line for line in block if line in SERVING]
        run_block([line for line in block if line not in SERVING], installation)
        for command in serving:
            serve_and_interrupt(command, SERVING[command], installation)
        seen += block
    assert set(SERVING) <= set(seen)
    server = embedded.start(Path(installation["SWIFTBOLT_HOME"]))
    with psycopg.connect(server.url("swiftbolt")) as connection:
        counts = [len(connection.execute(text).fetchall()) for text in sql_statements()]
    # 19 sessions of --days 30 before today and today's, hourly; nothing is absent or rejected.
    assert counts[0] > 100
    assert counts[1:] == [0, 0]


def test_every_variable_is_read_and_explained() -> None:
    """`.env.example`, the settings' reader and the README speak of the same variables."""
    reader = (ROOT / "swiftbolt_assets" / "settings.py").read_text("utf-8")
    prefixes = "SWIFTBOLT|POLYGON|MASSIVE|TRADIER|MAX|RESAMPLE"
    names = rf"\b(?:{prefixes})_[A-Z0-9_]+\b"
    read = set(re.findall(rf'"({names})"', reader))
    explained = set(re.findall(rf"^#({names})=", EXAMPLE, re.MULTILINE))
    assert read == explained
    assert set(re.findall(names, README)) <= explained


def test_every_command_of_the_table_exists() -> None:
    """The table lists exactly the commands that the program has."""
    from swiftbolt_assets.cli.main import cli

    listed = set(re.findall(r"^\| `swiftbolt ([a-z]+)", README, re.MULTILINE))
    assert listed == set(cli.commands)


def test_every_path_of_the_readme_exists() -> None:
    """Folders of the house and linked files are where the page says."""
    house = re.findall(r"^([a-z_]+/(?:[a-z_]+/)?)", README, re.MULTILINE)
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert house
    for path in [*house, *linked]:
        assert (ROOT / path).exists(), path
