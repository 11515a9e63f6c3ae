"""`swiftbolt demo`: two years of AAPL, on a home of its own, and nothing left running."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow


def test_the_demo_ends_with_two_complete_years(shell: Any, port_offset: str) -> None:
    # What belongs to the user's own installation does not leak in.
    mine = {"MASSIVE_API_KEY": "a-real-key", "POLYGON_BASE_URL": "http://127.0.0.1:1"}
    done = shell.run("demo", "--exit", "--port-offset", port_offset, timeout=240, **mine)
    assert done.code == 0, done.err
    assert "AAPL 2024-11-20..2026-11-20: complete (simulated)" in done.out
    assert "sessions  501 of 501 before today" in done.out
    # 501 sessions before today, six of them half days, and today's own bars.
    requests = re.search(r"requests  (\d+) \(theoretical minimum (\d+)\), 0 bars", done.out)
    assert requests
    assert int(requests[1]) <= 11  # ten for two years, one for today
    assert re.search(r"seconds   [\d.]+, first bar after [\d.]+\n", done.out)
    assert f"http://127.0.0.1:{3000 + int(port_offset)}/assets" in done.out
    assert (shell.home / "demo" / "platform.lock").exists()
    assert {path.name for path in shell.home.iterdir()} == {"demo"}
    shell.home /= "demo"
    assert shell.left_over() == []


def test_an_interrupted_demo_stops_at_once(
    shell: Any, port_offset: str, wait_for: Callable[..., Any], finish: Callable[..., Any]
) -> None:
    process = shell.start("demo", "--free-plan", "--port-offset", port_offset)
    wait_for((shell.home / "demo" / "platform.json").exists, "the demo serves", 120)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    done = finish(process, 30)
    assert done.code == 130
    assert "interrupted" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    shell.home /= "demo"
    assert shell.left_over() == []
