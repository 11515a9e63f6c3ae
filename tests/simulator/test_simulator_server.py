"""The simulator on its socket."""

from __future__ import annotations

import ast
import asyncio
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.simulator import app
from swiftbolt_assets.simulator.app import build_app
from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread, serve


def test_both_providers_share_one_loopback_address() -> None:
    with SimulatorThread() as simulator:
        assert simulator.polygon_url == simulator.tradier_url
        assert simulator.polygon_url.startswith("http://127.0.0.1:")


def test_a_stopped_simulator_releases_its_port_and_stops_twice() -> None:
    simulator = SimulatorThread().start()
    port = int(simulator.polygon_url.rpartition(":")[2])
    simulator.stop()
    simulator.stop()
    with SimulatorThread(port=port) as again:
        assert again.polygon_url == simulator.polygon_url


def test_a_taken_port_is_named_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"^port: .*127\.0\.0\.1:{port}"):
            serve(SimulatorConfig(), port=port)


def test_the_controls_answer_to_loopback_only() -> None:
    async def ask(client_address: str) -> list[int]:
        transport = httpx.ASGITransport(build_app(SimulatorConfig()), client=(client_address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
            replies = [
                await client.get(path)
                for path in (
                    "/simulator",
                    "/simulator/faults",
                    "/simulator/unreliable",
                    "/simulator/requests",
                    "/simulator/truth/AAPL/h4?from=2026-11-18&to=2026-11-18",
                )
            ]
        return [reply.status_code for reply in replies]

    assert asyncio.run(ask("127.0.0.1")) == [200] * 5
    assert asyncio.run(ask("192.0.2.7")) == [403] * 5


def test_impossible_settings_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^polygon_requests_per_minute: "):
        SimulatorConfig(polygon_requests_per_minute=-1)
    with pytest.raises(ConfigurationError, match=r"^now: "):
        SimulatorConfig(now=lambda: datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_keys_are_not_shown_with_the_settings() -> None:
    config = SimulatorConfig(
        polygon_keys=frozenset({"polygon-secret"}), tradier_tokens=frozenset({"tradier-secret"})
    )
    assert "secret" not in repr(config)


def test_the_simulator_shares_no_code_with_what_it_tests() -> None:
    allowed = {"numpy", "starlette", "uvicorn", "swiftbolt_assets", *sys.stdlib_module_names}
    own = ("swiftbolt_assets.simulator", "swiftbolt_assets.clock", "swiftbolt_assets.errors")
    files = sorted(Path(app.__file__).parent.glob("*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            for name in names:
                assert name.partition(".")[0] in allowed, (file.name, name)
                assert not name.startswith("swiftbolt_assets") or name.startswith(own), name


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_until_the_process_is_told_to_stop(sent: signal.Signals) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "from swiftbolt_assets.simulator.server import serve\n"
        "from swiftbolt_assets.simulator.config import SimulatorConfig\n"
        f"serve(SimulatorConfig(), port={port})\n"
    )
    root = Path(app.__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stderr=subprocess.PIPE
    ) as process:
        try:
            _answers(port, process)
        finally:
            process.send_signal(sent)
            process.wait(20)
    assert process.returncode != 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/simulator", trust_env=False)


def _answers(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a simulator on a port answers."""
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            reply = httpx.get(f"http://127.0.0.1:{port}/simulator", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.02)
            continue
        assert reply.json()["seed"] == 1
        return
    raise AssertionError("the simulator did not answer")
