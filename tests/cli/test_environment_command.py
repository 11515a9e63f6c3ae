"""`swiftbolt env`: a shell in which Dagster and psql act on the installation."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

SWIFTBOLT = f"{shlex.quote(sys.executable)} -m swiftbolt_assets.cli.main"
DAGSTER = f"{shlex.quote(sys.executable)} -m dagster"
SHELLS = [name for name in ("bash", "dash", "sh") if shutil.which(name)]


@pytest.fixture(scope="module")
def exported(new_shell: Callable[..., Any]) -> Iterator[Any]:
    """Return a hostile home with one symbol, its database running for a shell."""
    shell = new_shell('it\'s "my" $HOME `home` & more')
    shell.first = shell.run("backfill", "AAPL", "--from", "2026-11-19", "--to", "2026-11-19")
    assert shell.first.code == 0, shell.first.err
    assert not embedded.is_running(shell.home)
    yield shell
    shell.close()


def in_shell(shell: Any, script: str, name: str = "sh", timeout: float = 120) -> Any:
    """Run a script after the exports."""
    whole = f'set -eu\neval "$({SWIFTBOLT} env)"\n{script}'
    return shell.run("-c", whole, argv=[shutil.which(name)], timeout=timeout)


@pytest.mark.parametrize("name", SHELLS)
def test_the_exports_survive_every_shell(exported: Any, name: str) -> None:
    names = ("SWIFTBOLT_HOME", "DAGSTER_HOME", "SWIFTBOLT_DATABASE_URL", "SWIFTBOLT_DAGSTER_URL")
    dump = "import os, json; print(json.dumps(dict(os.environ)))"
    done = in_shell(exported, f"{shlex.quote(sys.executable)} -c {shlex.quote(dump)}", name)
    assert done.code == 0, done.err
    environ = json.loads(done.out)
    assert environ["SWIFTBOLT_HOME"] == str(exported.home)
    assert environ["DAGSTER_HOME"] == str(exported.home / "dagster")
    assert all(environ[name] for name in names)
    assert environ["SWIFTBOLT_DAGSTER_URL"].startswith("postgresql+psycopg2://")


def test_psql_reaches_the_bars(exported: Any) -> None:
    query = "select count(*) from ohlc_bars_v2 where timeframe = 'm15'"
    if shutil.which("psql"):
        done = in_shell(exported, f'psql -XAtc "{query}" "$SWIFTBOLT_DATABASE_URL"')
    else:
        ask = f"import os, psycopg; c = psycopg.connect(os.environ['SWIFTBOLT_DATABASE_URL']); print(c.execute({query!r}).fetchone()[0])"  # noqa: E501
        done = in_shell(exported, f"{shlex.quote(sys.executable)} -c {shlex.quote(ask)}")
    assert (done.code, done.out) == (0, "26\n"), done.err


@pytest.mark.timeout(600)
def test_dagster_materializes_a_partition_of_a_tracked_symbol(exported: Any) -> None:
    done = in_shell(
        exported,
        f"{DAGSTER} asset materialize -m swiftbolt_assets.definitions"
        " --select 'm15_bars,h1_bars,h4_bars' --partition '2026-11-18|AAPL'\n"
        f"{DAGSTER} definitions validate -w workspace.yaml",
        timeout=240,
    )
    assert done.code == 0, done.err[-3000:]
    report = exported.run(
        "backfill", "AAPL", "--from", "2026-11-18", "--to", "2026-11-19", "--json"
    )
    assert (report.json["requests"], report.json["bars"]["m15"]) == (0, 52)
    # The shell's server is not the command's to stop.
    assert embedded.is_running(exported.home)


@pytest.mark.timeout(600)
def test_dagster_dev_serves_with_the_exports(
    exported: Any, port_offset: str, wait_for: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    port = 3000 + int(port_offset)
    script = (
        f'eval "$({SWIFTBOLT} env)"\nexec {DAGSTER} dev -w workspace.yaml -h 127.0.0.1 -p {port}'
    )
    process = exported.start("-c", script, argv=[shutil.which("sh")])
    query = json.dumps({"query": "{assetNodes{assetKey{path} isMaterializable}}"}).encode()

    def assets() -> set[str]:
        assert process.poll() is None
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", query, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                nodes = json.load(reply)["data"]["assetNodes"]
        except (urllib.error.URLError, OSError):
            return set()
        return {node["assetKey"]["path"][0] for node in nodes if node["isMaterializable"]}

    assert wait_for(assets, "dagster dev serves", 240) == {"m15_bars", "h1_bars", "h4_bars"}
    process.send_signal(signal.SIGINT)
    finish(process)
    wait_for(lambda: exported.left_over() == ["the embedded database"], "dagster dev ended", 60)


def test_the_database_ends_when_the_shell_lets_it_go(exported: Any) -> None:
    assert exported.run("env").code == 0
    assert embedded.is_running(exported.home)
    assert exported.run("env", "--stop").out == "stopped\n"
    assert not embedded.is_running(exported.home)
    assert exported.run("env", "--stop").out == "no database of this installation runs\n"


def test_no_word_of_a_home_is_run_by_the_shell(exported: Any) -> None:
    done = exported.run("env")
    lines = [line for line in done.out.splitlines() if not line.startswith("#")]
    assert all(line.startswith("export ") and len(shlex.split(line)) == 2 for line in lines)
    assert "credentials" in done.out.splitlines()[0]
    assert Path(shlex.split(lines[0])[1].partition("=")[2]) == exported.home
    assert os.sep in lines[0]
