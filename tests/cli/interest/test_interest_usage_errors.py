"""Wrong interest and wrong changes end in one line that names the field; nothing is touched."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from swiftbolt_assets.cli import main as command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = "9" * 5000
BAD = {
    "no symbol": ("symbol", "track", "--source", "watchlist"),
    "an empty symbol": ("symbol", "track", "", "--source", "watchlist"),
    "a path": ("symbol", "track", "../etc", "--source", "watchlist"),
    "one bad symbol of three": ("symbol", "track", "AAPL", "A|B", "TSLA", "--source", "watchlist"),
    "a look-alike": ("symbol", "track", "\u0410APL", "--source", "watchlist"),
    "no source": ("source", "track", "AAPL"),
    "an empty source": ("source", "track", "AAPL", "--source", ""),
    "an unknown source": ("source", "track", "AAPL", "--source", "favourites"),
    "a source in capitals": ("source", "track", "AAPL", "--source", "WATCHLIST"),
    "a long source": ("source", "track", "AAPL", "--source", "x" * 5000),
    "a source with a line break": ("source", "track", "AAPL", "--source", "watch\nlist"),
    "an empty user": ("user", "track", "AAPL", "--source", "watchlist", "--user", ""),
    "a user by name": ("user", "track", "AAPL", "--source", "watchlist", "--user", "me"),
    "a user in braces": (
        "user", "track", "AAPL", "--source", "watchlist",
        "--user", "{00000000-0000-0000-0000-000000000000}",
    ),
    "a user without dashes": (
        "user", "track", "AAPL", "--source", "watchlist", "--user", "0" * 32,
    ),
    "a user in arabic digits": (
        "user", "track", "AAPL", "--source", "watchlist",
        "--user", "\u0660" * 8 + "-0000-0000-0000-000000000000",
    ),
    "jobs of no ticker": ("symbol", "jobs", "set", "1AAPL", "--window", "5"),
    "jobs of an unknown timeframe": (
        "timeframe", "jobs", "set", "AAPL", "--timeframe", "d1", "--window", "5",
    ),
    "jobs of an empty timeframe": (
        "timeframe", "jobs", "set", "AAPL", "--timeframe", "", "--window", "5",
    ),
    "no change": ("jobs set", "jobs", "set", "AAPL"),
    "no change of one timeframe": ("jobs set", "jobs", "set", "AAPL", "--timeframe", "h1"),
    "window zero": ("window", "jobs", "set", "AAPL", "--window", "0"),
    "window negative": ("window", "jobs", "set", "AAPL", "--window", "-3"),
    "window fraction": ("window", "jobs", "set", "AAPL", "--window", "1.5"),
    "window beyond all": ("window", "jobs", "set", "AAPL", "--window", "36501"),
    "window of thousands of digits": ("window", "jobs", "set", "AAPL", "--window", LONG),
    "window empty": ("window", "jobs", "set", "AAPL", "--window", ""),
    "window word": ("window", "jobs", "set", "AAPL", "--window", "year"),
    "priority negative": ("priority", "jobs", "set", "AAPL", "--priority", "-1"),
    "priority too high": ("priority", "jobs", "set", "AAPL", "--priority", "1000001"),
    "priority word": ("priority", "jobs", "set", "AAPL", "--priority", "high"),
    "priority empty": ("priority", "jobs", "set", "AAPL", "--priority", ""),
    "a port offset below zero": ("port-offset", "deploy", "--port-offset", "-1"),
    "a port offset beyond the ports": ("port-offset", "deploy", "--port-offset", "60000"),
    "a port offset in words": ("port-offset", "deploy", "--port-offset", "ten"),
    "a status of no ticker": ("symbol", "status", "A|B"),
}  # fmt: skip
NONSENSE = {
    "--bogus": ("track", "AAPL", "--bogus"),
    "--source": ("track", "AAPL", "--source"),
    "SYMBOL": ("jobs", "set"),
    "MSFT": ("jobs", "set", "AAPL", "MSFT"),
    "drop": ("jobs", "drop", "AAPL"),
    "AAPL": ("monitor", "AAPL"),
    "--now": ("deploy", "--now"),
}


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for kind, handler in handlers.items():
        signal.signal(kind, handler)


@pytest.fixture
def refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return a function that runs a command which must be refused, and returns its line."""
    home = tmp_path / "home"
    monkeypatch.setenv("SWIFTBOLT_HOME", str(home))
    for name in ("SWIFTBOLT_DATABASE_URL", "SWIFTBOLT_ANON_USER", "SWIFTBOLT_NOW"):
        monkeypatch.setenv(name, "")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["swiftbolt", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        assert ended.value.code == 2
        assert out == ""
        assert err.startswith("swiftbolt: ")
        assert err.count("\n") == 1
        assert len(err) < 300
        assert err.isascii()
        # No database was made and not even a home.
        assert not home.exists()
        return err.removeprefix("swiftbolt: ").strip()

    return run


@pytest.mark.parametrize(("field", "arguments"), [(f, a) for f, *a in BAD.values()], ids=BAD)
def test_bad_input_is_refused_by_its_field(
    refuse: Callable[..., str], field: str, arguments: list[str]
) -> None:
    assert refuse(*arguments).startswith(f"{field}: ")


@pytest.mark.parametrize(("told", "arguments"), NONSENSE.items())
def test_a_command_line_that_makes_no_sense_says_where_help_is(
    refuse: Callable[..., str], told: str, arguments: tuple[str, ...]
) -> None:
    line = refuse(*arguments)
    assert told in line
    assert "--help'" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org"])  # noqa: S104
def test_a_deployment_listens_wider_only_with_keys_of_ones_own(
    refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("SWIFTBOLT_HOST", host)
    assert refuse("deploy").startswith("SWIFTBOLT_ANON_KEY: ")


@pytest.mark.parametrize("value", ["me", "0", "{00000000-0000-0000-0000-000000000000}", "0" * 32])
@pytest.mark.parametrize("arguments", [("track", "AAPL", "--source", "watchlist"), ("status",)])
def test_a_bad_anonymous_user_is_refused_by_its_variable(
    refuse: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    value: str,
) -> None:
    monkeypatch.setenv("SWIFTBOLT_ANON_USER", value)
    assert refuse(*arguments).startswith("SWIFTBOLT_ANON_USER: ")
