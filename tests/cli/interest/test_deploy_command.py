"""`swiftbolt deploy`: it migrates, starts, verifies, and ends at the first thing that is wrong.

The tests of this module share one home and run in their order.
"""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import os
import re
import signal
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

STEPS = ["schema", "interest", "platform", "tracking", "definitions", "scheduler", "tick"]


@pytest.fixture(scope="module")
def home(new_shell: Callable[..., Any], wait_for: Callable[..., Any]) -> Iterator[Any]:
    """Return a home; the platform that a deployment leaves on it ends with the tests."""
    shell = new_shell(SWIFTBOLT_BACKGROUND="false")
    yield shell
    note = shell.home / "platform.json"
    if note.exists():
        os.kill(json.loads(note.read_text())["pid"], signal.SIGTERM)
        wait_for(lambda: not shell.left_over(), "the platform ends", 60)


def steps(out: str) -> list[tuple[str, ...]]:
    """Return how each step went, and its name."""
    return re.findall(r"^(ok|failed) +(\w+)", out, re.MULTILINE)


def set_sensor(offset: str, mutation: str) -> None:
    """Do to the sensor what a button of the Dagster UI does."""
    selector = {
        "repositoryLocationName": "swiftbolt",
        "repositoryName": "__repository__",
        "sensorName": "backfill",
    }
    ask = "query Q($s: SensorSelector!) {sensorOrError(sensorSelector: $s) {... on Sensor {id}}}"
    found = graphql(offset, ask, {"s": selector})["sensorOrError"]["id"]
    if mutation == "stopSensor":
        graphql(
            offset, "mutation M($id: String!) {stopSensor(id: $id) {__typename}}", {"id": found}
        )
    else:
        start = "mutation M($s: SensorSelector!) {startSensor(sensorSelector: $s) {__typename}}"
        graphql(offset, start, {"s": selector})


def graphql(offset: str, query: str, variables: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{3000 + int(offset)}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)["data"]


def test_a_platform_that_cannot_start_fails_the_deployment_and_leaves_nothing(
    home: Any, module_port_offset: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 3000 + int(module_port_offset)))
        taken.listen()
        done = home.run("deploy", "--port-offset", module_port_offset)
    assert done.code == 1
    assert steps(done.out) == [("ok", "schema"), ("ok", "interest"), ("failed", "platform")]
    assert done.err.startswith("swiftbolt: port-offset: port ")
    assert done.err.count("\n") == 1
    assert home.left_over() == []


def test_a_deployment_migrates_starts_and_verifies(home: Any, module_port_offset: str) -> None:
    done = home.run("deploy", "--port-offset", module_port_offset, timeout=240)
    assert (done.code, done.err) == (0, "")
    assert steps(done.out) == [("ok", name) for name in STEPS]
    pid = json.loads((home.home / "platform.json").read_text())["pid"]
    assert f"kill {pid}" in done.out
    assert f"http://127.0.0.1:{3000 + int(module_port_offset)}" in done.out
    # It outlives the command and its terminal.
    assert os.getsid(pid) == pid
    assert home.run("status", "--json").json["platform"] == "running"
    assert home.sql(
        "select source, u.priority from user_symbol_tracking u join symbols s on s.id = symbol_id"
        " where ticker = 'AAPL'"
    ) == [("watchlist", 300)]
    assert "Ctrl-C stops it." in (home.home / "log" / "up.log").read_text()


def test_a_deployment_on_a_running_platform_starts_no_second_one(
    home: Any, module_port_offset: str
) -> None:
    pid = json.loads((home.home / "platform.json").read_text())["pid"]
    done = home.run("deploy", "--port-offset", module_port_offset)
    assert (done.code, done.err) == (0, "")
    assert f"process {pid} runs already" in done.out
    assert "already the newest" in done.out


def test_a_definition_that_somebody_switched_off_fails_it(home: Any) -> None:
    assert home.run("jobs", "set", "AAPL", "--timeframe", "h4", "--disabled", "--pin").code == 0
    done = home.run("deploy")
    assert done.code == 1
    assert steps(done.out)[-1] == ("failed", "tracking")
    assert "swiftbolt jobs set AAPL --enabled" in done.err
    assert done.err.count("\n") == 1
    assert home.run("jobs", "set", "AAPL", "--enabled", "--unpin").code == 0


def test_a_stopped_sensor_fails_it_by_name(home: Any, module_port_offset: str) -> None:
    set_sensor(module_port_offset, "stopSensor")
    done = home.run("deploy")
    assert done.code == 1
    assert steps(done.out)[-1] == ("failed", "tick")
    assert done.err == (
        "swiftbolt: the sensor backfill is stopped; start it in the Dagster UI\n"
    )  # fmt: skip
    assert "kill " in done.out
    set_sensor(module_port_offset, "startSensor")
    assert home.run("deploy").code == 0


def test_all_three_timeframes_have_bars_of_the_symbol_soon_after(
    home: Any, wait_for: Callable[..., Any]
) -> None:
    def timeframes() -> bool:
        rows = home.sql(
            "select distinct timeframe::text from ohlc_bars_v2 b join symbols s"
            " on s.id = b.symbol_id where ticker = 'AAPL'"
        )
        return {row[0] for row in rows} == {"m15", "h1", "h4"}

    wait_for(timeframes, "bars of AAPL", 120)
