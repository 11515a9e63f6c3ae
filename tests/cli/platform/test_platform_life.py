"""`swiftbolt up`: it says what runs, mends what dies, refuses a second one, and leaves nothing.

The tests of this module share one platform and run in their order.
"""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

PARTS = {"simulator", "code-location", "api", "daemon", "web-ui"}
#: 104 sessions: two requests.
WINDOW = ("--from", "2026-06-25", "--to", "2026-11-19", "--json")
BARS = {"m15": 104 * 26, "h1": 104 * 7, "h4": 104 * 2}
#: Runs of bars; the platform looks up splits by itself in runs of their own.
UNDER_WAY = (
    '{runsOrError(filter:{pipelineName:"fill_bars",statuses:[STARTED,STARTING]})'
    "{... on Runs{count}}}"
)


@pytest.fixture(scope="module")
def up(new_up: Callable[..., Any]) -> Any:
    # A company's proxy must not come between the platform's own parts.
    return new_up(http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1")


def test_a_platform_says_that_it_runs(up: Any) -> None:
    report = up.shell.run("status", "--json").json
    assert report["platform"] == "running"
    assert report["dagster_url"] == f"http://127.0.0.1:{3000 + int(up.offset)}"
    assert set(up.note["parts"]) == PARTS
    assert "running, http://" in up.shell.run("doctor").out


def test_a_second_platform_on_the_home_is_refused(up: Any) -> None:
    refused = up.shell.run("up", "--port-offset", str(int(up.offset) + 3))
    assert refused.code == 1
    line = refused.one_line()
    assert f"a platform runs on {up.shell.home} already (process {up.process.pid}" in line
    assert "stop it, or set SWIFTBOLT_HOME" in line


def test_a_taken_port_is_told_with_the_way_out(
    up: Any, new_shell: Callable[..., Any], port_offset: str
) -> None:
    other = new_shell()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 3000 + int(port_offset)))
        taken.listen()
        refused = other.run("up", "--port-offset", port_offset)
    assert refused.code == 2
    assert f"port {3000 + int(port_offset)} is in use" in refused.one_line()
    assert other.left_over() == []
    assert up.answers()


def test_a_backfill_is_a_run_of_the_platform(up: Any) -> None:
    done = up.shell.run("backfill", "AAPL", *WINDOW)
    assert done.code == 0, done.err
    assert (done.json["bars"], done.json["requests"]) == (BARS, 2)
    runs = up.ask(
        '{runsOrError(filter:{pipelineName:"fill_bars"})'
        "{... on Runs{results{status jobName tags{key value}}}}}"
    )
    (run,) = runs["runsOrError"]["results"]
    assert (run["status"], run["jobName"]) == ("SUCCESS", "fill_bars")
    assert {"key": "symbol", "value": "AAPL"} in run["tags"]
    assert {"key": "dagster/priority", "value": "200"} in run["tags"]


def test_killed_parts_are_started_again(up: Any, wait_for: Callable[..., Any]) -> None:
    before = up.note["parts"]
    killed = ("simulator", "api", "daemon", "web-ui")
    for part in killed:
        os.kill(before[part], signal.SIGKILL)
    # While they are away a backfill waits for them.
    done = up.shell.run("backfill", "IBM", "--from", "2026-11-19", "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "complete"
    wait_for(lambda: all(up.note["parts"][part] != before[part] for part in killed), "all mended")
    assert up.shell.run("status", "--json").json["platform"] == "running"


def test_a_run_of_a_killed_command_is_failed_by_the_next_platform(
    up: Any, finish: Callable[..., Any]
) -> None:
    marks = up.shell.home / "runs"
    up.process.send_signal(signal.SIGTERM)
    assert finish(up.process, 30).code == 0
    # Without a platform the command fills in its own process.
    command = up.shell.start("backfill", "ORCL", "--from", "2024-11-20")
    up.wait_for_bars("ORCL")
    command.kill()
    finish(command)
    assert len(list(marks.iterdir())) == 1
    up.start()
    assert list(marks.iterdir()) == []
    assert up.ask(UNDER_WAY)["runsOrError"]["count"] == 0


def test_a_backfill_outlives_the_code_location(
    up: Any, finish: Callable[..., Any], wait_for: Callable[..., Any]
) -> None:
    process = up.shell.start("backfill", "NVDA", *WINDOW)
    up.wait_for_bars("NVDA")
    pid = up.note["parts"]["code-location"]
    os.kill(pid, signal.SIGKILL)
    done = finish(process, 180)
    assert done.code == 0, done.err
    assert done.json["bars"] == BARS
    assert up.note["parts"]["code-location"] != pid
    query = UNDER_WAY.replace("STARTING", "STARTING,QUEUED")
    wait_for(lambda: up.ask(query)["runsOrError"]["count"] == 0, "no run hangs", 30)


def test_a_killed_database_is_started_again(
    up: Any, finish: Callable[..., Any], wait_for: Callable[..., Any]
) -> None:
    process = up.shell.start("backfill", "AMD", *WINDOW)
    up.wait_for_bars("AMD")
    data = embedded.locate(up.shell.home).data
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    done = finish(process, 180)
    assert "Traceback" not in done.err
    wait_for(lambda: embedded.is_running(up.shell.home), "the database runs again", 30)
    last = up.shell.run("backfill", "AMD", *WINDOW)
    assert last.code == 0, last.err
    assert last.json["bars"] == BARS
    assert up.shell.run("status", "--json").json["platform"] == "running"


def test_a_rectangle_launched_as_the_ui_does_is_filled(
    up: Any, wait_for: Callable[..., Any]
) -> None:
    days = [f"2026-03-{day:02}" for day in (2, 3, 4, 5, 6)]
    launch = (
        "mutation($p: LaunchBackfillParams!){launchPartitionBackfill(backfillParams:$p)"
        "{__typename ... on LaunchBackfillSuccess{backfillId} ... on PythonError{message}}}"
    )
    params = {
        "assetSelection": [{"path": [f"{name}_bars"]} for name in ("m15", "h1", "h4")],
        "partitionNames": [f"{day}|{symbol}" for day in days for symbol in ("AAPL", "NVDA")],
        "tags": [],
    }
    answer = up.ask(launch, p=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    query = (
        "query($id: String!){partitionBackfillOrError(backfillId:$id)"
        "{... on PartitionBackfill{status error{message}}}}"
    )

    def ended() -> dict[str, Any] | None:
        state: dict[str, Any] = up.ask(query, id=answer["backfillId"])["partitionBackfillOrError"]
        return state if state["status"].startswith(("COMPLETED", "FAILED", "CANCEL")) else None

    assert wait_for(ended, "the rectangle ends", 150)["status"] == "COMPLETED_SUCCESS"
    stored = (
        "select s.ticker, count(*) from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id"
        " where ts between '2026-03-02' and '2026-03-07' and timeframe = 'm15'"
        " group by 1 order by 1"
    )
    assert up.shell.sql(stored) == [("AAPL", 130), ("NVDA", 130)]


def test_a_killed_supervisor_leaves_no_part_and_no_run_behind(
    up: Any, wait_for: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    process = up.shell.start("backfill", "TSLA", "--from", "2024-11-20", "--json")
    up.wait_for_bars("TSLA")
    up.process.kill()
    done = finish(process)
    assert done.code == 1
    assert "the platform stopped" in done.err
    # The runs below the code location, too.
    wait_for(lambda: up.shell.left_over() in ([], ["the embedded database"]), "all ended", 15)
    assert up.shell.run("status", "--json").json["platform"] == "stopped"
    up.start()
    last = up.shell.run("backfill", "TSLA", *WINDOW)
    assert last.code == 0, last.err
    assert last.json["bars"] == BARS
    wait_for(lambda: up.ask(UNDER_WAY)["runsOrError"]["count"] == 0, "no run hangs", 60)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_in_time_and_leaves_nothing_behind(
    up: Any, finish: Callable[..., Any], kind: signal.Signals
) -> None:
    if up.process.poll() is not None:
        # From a script's background, where SIGINT is ignored and Dagster would ignore SIGTERM, too.
        script = (
            f"{sys.executable} -m swiftbolt_assets.cli.main up --port-offset {up.offset} & wait"
        )
        holder = up.shell.start("-c", script, argv=[shutil.which("sh")])
        up._wait_for(lambda: up.note["pid"] and up.answers(), "up runs", 120)
        os.kill(up.note["pid"], kind)
    else:
        holder = up.process
        holder.send_signal(kind)
    done = finish(holder, 30)
    assert done.code in {0, 143}, done.err
    assert done.out.endswith("stopped\n")
    assert "Traceback" not in done.err
    assert up.shell.left_over() == []
