"""The documents are true: commands run, settings exist, links and features lead somewhere."""

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

from resources.postgres.embedded import server as embedded
from resources.providers.registry import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
#: In the order in which a newcomer reads them, which is the order in which their commands run.
READ = ("concepts", "chart", "http-api", "dagster", "settings", "operations", "scaling")
DOCUMENTS = {
    path: path.read_text("utf-8")
    for path in dict.fromkeys(
        (
            ROOT / "README.md",
            *(ROOT / "docs" / f"{name}.md" for name in READ),
            *sorted((ROOT / "docs").glob("*.md")),
            *sorted(ROOT.glob("*.md")),
        )
    )
}
ALL = "\n".join(DOCUMENTS.values())
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
    blocks = re.findall(r"```sh\n(.*?)```", ALL, re.DOTALL)
    return [block.strip().splitlines() for block in blocks]


def sql_statements() -> list[str]:
    (block,) = re.findall(r"```sql\n(.*?)```", ALL, re.DOTALL)
    return [part for part in block.split(";") if part.strip()]


@pytest.fixture
def installation(tmp_path: Path, surroundings: dict[str, str]) -> Iterator[dict[str, str]]:
    """Return an environment with a home of its own, on a quiet market clock."""
    home = tmp_path / "state"
    kept = {name: text for name, text in surroundings.items() if not name.startswith("COV_")}
    environment = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{surroundings['PATH']}",
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
def test_every_command_of_the_documents_runs(installation: dict[str, str]) -> None:
    """In the order of the documents; what serves is interrupted once it says so."""
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
    """`.env.example`, the settings' reader and the documents speak of the same variables."""
    reader = (ROOT / "swiftbolt_assets" / "settings.py").read_text("utf-8")
    of_providers = {name for provider in PROVIDERS for name in provider.variables}
    prefixes = {"SWIFTBOLT", "MAX", "RESAMPLE", *(one.partition("_")[0] for one in of_providers)}
    names = rf"\b(?:{'|'.join(prefixes)})_[A-Z0-9_]+\b"
    read = set(re.findall(rf'"({names})"', reader)) | of_providers
    explained = set(re.findall(rf"^#({names})=", EXAMPLE, re.MULTILINE))
    assert read == explained
    assert set(re.findall(names, ALL)) <= explained


def test_every_command_of_the_table_exists() -> None:
    """The table lists exactly the commands that the program has."""
    from swiftbolt_assets.cli.main import cli

    listed = set(re.findall(r"^\| `swiftbolt ([a-z]+)", README, re.MULTILINE))
    assert listed == set(cli.commands)


def test_every_path_of_the_documents_exists() -> None:
    """What is linked, the map's folders and the files of code that are named are where they say."""
    package = ROOT / "swiftbolt_assets"
    for path, text in DOCUMENTS.items():
        for linked in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            file, _, anchor = linked.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path.name}: {linked}"
            assert not anchor or anchor in anchors(target), f"{path.name}: {linked}"
        for named in re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+(?:\.[a-z]+|/))`", text):
            places = (ROOT / named, package / named, ROOT / "tests" / named)
            assert any(place.exists() for place in places), f"{path.name}: {named}"


def anchors(path: Path) -> set[str]:
    """Return what may follow # in a link to a document."""
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_map_names_every_room() -> None:
    """Each folder of code stands in the map, and each line of the map is there."""
    text = DOCUMENTS[ROOT / "CONTRIBUTING.md"]
    (drawn,) = re.findall(r"## The map\n.*?```\n(.*?)```", text, re.DOTALL)
    found, above = set(), Path()
    for line in drawn.splitlines():
        for name in line[:33].split():
            if line.startswith(" ") or not name.startswith(
                ("swiftbolt_assets", "resources", "sensors")
            ):
                found.add(above / name)
            else:
                above = Path(name)
                found.add(above)
    for one in found:
        assert (ROOT / one).exists(), one
    rooms = {
        folder.relative_to(ROOT)
        for top in ("resources", "sensors", "swiftbolt_assets")
        for folder in (ROOT / top, *(ROOT / top).iterdir())
        if (folder / "__init__.py").exists() and folder.name != "swiftbolt_assets"
    }
    apart = {
        Path("swiftbolt_assets", name) for name in re.findall(r"`swiftbolt_assets/([a-z]+)/`", text)
    }
    assert rooms - apart <= found


def test_every_feature_names_the_tests_that_hold_it() -> None:
    """All rows of both designs are there, each with tests that exist."""
    text = DOCUMENTS[ROOT / "docs" / "features.md"]
    rows = re.findall(r"^\| ([AB]\d+) \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == [
        *(f"A{n}" for n in range(1, 72)), *(f"B{n}" for n in range(1, 63))
    ]  # fmt: skip
    for name, told in rows:
        tests = re.findall(r"`([\w/]+\.py)` `(test_\w+)`", told)
        assert tests, name
        for file, test in tests:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{name}: {test}"
