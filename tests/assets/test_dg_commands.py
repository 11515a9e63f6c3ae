"""Dagster's command for projects, `dg`, as real processes in this folder."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from swiftbolt_assets.orchestration.instance import add_symbols, dagster_home
from tests.assets.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.assets.conftest import Installation

pytestmark = pytest.mark.slow
BARS = {"m15_bars", "h1_bars", "h4_bars"}
AROUND = {"polygon/aggregates", "tradier/timesales", "user_symbol_tracking", "chart"}
_ASSETS = "{assetNodes{assetKey{path}}}"


@pytest.fixture
def quiet(
    install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """Return an installation whose file alone keeps Dagster from reporting how it is used."""
    installation = install(environ={"SWIFTBOLT_BACKGROUND": "false"})
    monkeypatch.delenv("DAGSTER_DISABLE_TELEMETRY")
    yield installation
    assert not (dagster_home(installation.settings) / ".telemetry").exists()


def test_definitions_are_listed_and_checked(quiet: Installation) -> None:
    done = quiet.command("list", "defs", "--json", program="dg")
    assert done.returncode == 0, done.stderr
    listed = {one["asset_key"] for one in json.loads(done.stdout)["assets"]}
    assert listed == BARS | AROUND
    done = quiet.command("check", "defs", program="dg")
    assert done.returncode == 0, done.stderr
    assert "All definitions loaded successfully." in done.stdout
    assert done.stderr == ""


def test_a_launched_partition_is_in_the_table(quiet: Installation) -> None:
    add_symbols(quiet.settings, ["AAPL"])
    wanted = ("--assets", ",".join(sorted(BARS)), "--partition", "2026-11-19|AAPL")
    done = quiet.command("launch", *wanted, program="dg")
    assert done.returncode == 0, done.stderr
    assert [quiet.count(name) for name in ("m15", "h1", "h4")] == [26, 7, 2]


def test_dev_serves_the_assets_until_it_is_interrupted(quiet: Installation, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "dev.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [quiet.program("dg"), "dev", "--port", str(port)],
            env=quiet.environment,
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.STDOUT,
            # A runner that was started in the background ignores SIGINT, and children inherit it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        ) as process,
    ):
        try:
            while not served(port) >= BARS:
                assert process.poll() is None, log.read_text()
                time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
    assert process.returncode == 0, log.read_text()


def served(port: int) -> set[str]:
    """Return the assets that a web UI shows."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": _ASSETS}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            nodes: list[dict[str, Any]] = json.load(reply)["data"]["assetNodes"]
    except OSError:
        return set()  # it is not there yet
    return {"/".join(node["assetKey"]["path"]) for node in nodes}
