"""The signals to stop are heard at any moment, just before a wait begins, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from swiftbolt_assets.cli.stopping import stop_signals

SERVER = """
from swiftbolt_assets.cli.stopping import stop_signals
with stop_signals() as stop:
    def serve():
        print("serving", flush=True)
        while not stop.wait():
            pass
    stop.wait_with(serve)
print("stopped")
"""


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_just_before_the_wait_ends_it(kind: signal.Signals) -> None:
    heard = []
    with stop_signals() as stop:

        def body() -> None:
            os.kill(os.getpid(), kind)
            heard.append(stop.wait(30))

        stop.wait_with(body)
    assert heard == [True]


def test_a_signal_during_the_wait_ends_it_and_a_second_one_changes_nothing() -> None:
    heard = []
    with stop_signals() as stop:
        sender = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        sender.start()
        stop.wait_with(lambda: heard.append(stop.wait(30)))
        sender.join()
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [True]


def test_a_signal_during_work_interrupts_it() -> None:
    with stop_signals(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_wait_without_a_signal_ends_in_time() -> None:
    with stop_signals() as stop:
        stop.wait_with(lambda: None)
        assert not stop.wait(0.01)


def test_a_server_that_is_told_to_stop_the_moment_it_serves_stops() -> None:
    """A wait on a lock missed about one such signal in a few dozen."""
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "serving\n"
            server.send_signal(signal.SIGINT)
            try:
                rest, _ = server.communicate(timeout=30)
            finally:
                server.kill()
            assert (rest, server.returncode) == ("stopped\n", 0)


def test_under_nohup_a_hangup_stops_nothing() -> None:
    with subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$0" -c "$1"', sys.executable, SERVER],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "serving\n"
        server.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(1)
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=30)
    assert (rest, server.returncode) == ("stopped\n", 0)


@pytest.mark.parametrize("ignored", ["HUP", "INT TERM"])
def test_these_tests_pass_where_the_shell_ignores_signals(ignored: str) -> None:
    """`nohup make test`, and a script's background."""
    chosen = f"{__file__}::{test_a_signal_just_before_the_wait_ends_it.__name__}"
    arguments = ("-m", "pytest", "-q", "-p", "no:cacheprovider", chosen)
    done = subprocess.run(
        ["sh", "-c", f'trap "" {ignored}; exec "$0" "$@"', sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
