"""Wrong input ends in one line that names the field, with exit code 2, and touches nothing."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from swiftbolt_assets.cli import main as command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = "2026-11-20T17:30:00-05:00"

BAD_SYMBOLS = {
    "empty": "",
    "blank": "   ",
    "300 letters": "A" * 300,
    "path": "../../etc/passwd",
    "slashes": "BRK//B",
    "url": "AAPL/range/1?apiKey=x",
    "sql": "AAPL'; drop table symbols; --",
    "percent": "AAPL%2F..",
    "full-width": "\uff21\uff21\uff30\uff2c",
    "emoji": "\U0001f680",
    "dotless i": "\u0131bm",
    "zero-width": "AA\u200bPL",
    "line break": "AA\nPL",
    "nul": "AA\0PL",
    "lone surrogate": "A\udcffPL",
    "key separator": "2026-11-20|AAPL",
    "dots": "BRK.B.C.D",
    "capital later": "aAPL",
    "digit first": "1AAPL",
}
BAD_WINDOWS = {
    "days zero": ("days", "--days", "0"),
    "days negative": ("days", "--days", "-1"),
    "days beyond all": ("days", "--days", "1000000000"),
    "days exponent": ("days", "--days", "1e9"),
    "days fraction": ("days", "--days", "1.5"),
    "days word": ("days", "--days", "two"),
    "days empty": ("days", "--days", ""),
    "days of thousands of digits": ("days", "--days", "9" * 5000),
    "days arabic digits": ("days", "--days", "\u0663"),
    "days before the first partition": ("days", "--days", "2000"),
    "days and dates": ("days", "--days", "5", "--from", "2026-11-02"),
    "impossible day": ("from", "--from", "2026-02-30"),
    "no leap year": ("from", "--from", "2025-02-29"),
    "other order": ("from", "--from", "02/11/2026"),
    "week date": ("from", "--from", "2026-W40-1"),
    "time": ("to", "--to", "2026-11-20T10:00"),
    "reversed": ("from", "--from", "2026-11-10", "--to", "2026-11-02"),
    "future": ("to", "--from", "2026-11-02", "--to", "2026-11-23"),
    "both future": ("from", "--from", "2030-01-02", "--to", "2030-02-01"),
    "before the first partition": ("from", "--from", "2023-12-29"),
    "year zero": ("from", "--from", "0000-01-01"),
    "closed": ("from", "--from", "2026-11-14", "--to", "2026-11-15"),
    "priority": ("priority", "--days", "5", "--priority", "-1"),
    "priority word": ("priority", "--days", "5", "--priority", "high"),
}


#: What commands set for the processes that they start.
SET_BY_COMMANDS = (
    "SWIFTBOLT_CLOCK_OFFSET",
    "SWIFTBOLT_SIMULATOR_PLAN",
    "POLYGON_REQUESTS_PER_MINUTE",
    "SWIFTBOLT_DATABASE_URL",
    "SWIFTBOLT_DAGSTER_URL",
    "POLYGON_API_KEY",
    "MASSIVE_API_KEY",
    "POLYGON_BASE_URL",
    "TRADIER_TOKEN",
    "TRADIER_BASE_URL",
)


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
    monkeypatch.setenv("SWIFTBOLT_NOW", NOW)
    for name in SET_BY_COMMANDS:
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
        # Nothing queued, nothing stored: there is no database and not even a home.
        assert not home.exists()
        return err.removeprefix("swiftbolt: ").strip()

    return run


@pytest.mark.parametrize("symbol", BAD_SYMBOLS.values(), ids=BAD_SYMBOLS)
@pytest.mark.parametrize("command", ["backfill", "coverage", "status"])
def test_a_bad_symbol_is_refused_by_name(
    refuse: Callable[..., str], command: str, symbol: str
) -> None:
    assert refuse(command, symbol).startswith("symbol: ")


def test_one_bad_symbol_among_good_ones_stops_all(refuse: Callable[..., str]) -> None:
    assert refuse("backfill", "AAPL", "BRK.B", "../x").startswith("symbol: '../x'")


def test_a_demo_of_a_bad_symbol_is_refused(refuse: Callable[..., str]) -> None:
    assert refuse("demo", "--symbol", "../x").startswith("symbol: ")


def test_no_symbol_is_refused(refuse: Callable[..., str]) -> None:
    assert refuse("backfill").startswith("symbol: none is given")


@pytest.mark.parametrize(("field", "options"), [(f, o) for f, *o in BAD_WINDOWS.values()],
                         ids=BAD_WINDOWS)  # fmt: skip
def test_a_bad_window_is_refused_by_name(
    refuse: Callable[..., str], field: str, options: list[str]
) -> None:
    assert refuse("backfill", "AAPL", *options).startswith(f"{field}: ")


@pytest.mark.parametrize("timeframe", ["m5", "", "15", "2h", "d1", "m15;--"])
def test_an_unknown_timeframe_is_refused(refuse: Callable[..., str], timeframe: str) -> None:
    line = refuse("coverage", "AAPL", "--timeframe", timeframe)
    assert line.startswith("timeframe: ")
    assert "m15" in line


@pytest.mark.parametrize("command", ["up", "demo", "serve", "simulate"])
@pytest.mark.parametrize("offset", ["-1", "1.5", "ten", "60000", ""])
def test_a_bad_port_offset_is_refused(
    refuse: Callable[..., str], command: str, offset: str
) -> None:
    assert refuse(command, "--port-offset", offset).startswith("port-offset: ")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org", "::"])  # noqa: S104
def test_the_simulator_listens_on_loopback_only(refuse: Callable[..., str], host: str) -> None:
    assert refuse("simulate", "--host", host).startswith("host: ")


@pytest.mark.parametrize("command", ["up", "demo", "serve"])
@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org", "::"])  # noqa: S104
def test_the_api_listens_wider_than_loopback_only_with_keys_of_ones_own(
    refuse: Callable[..., str], command: str, host: str
) -> None:
    line = refuse(command, "--host", host)
    assert line.startswith("SWIFTBOLT_ANON_KEY: set it before listening on more than loopback")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["backfill", "AAPL", "--bogus"], "--bogus"),
        (["backfill", "AAPL", "--days"], "--days"),
        (["coverage"], "SYMBOL"),
        (["nonsense"], "nonsense"),
        (["status", "AAPL", "MSFT"], "MSFT"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_one_line(
    refuse: Callable[..., str], arguments: list[str], told: str
) -> None:
    line = refuse(*arguments)
    assert told in line
    assert "swiftbolt" in line
    assert "--help'" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SWIFTBOLT_NOW", "tomorrow"),
        ("SWIFTBOLT_NOW", "2090-01-01T00:00:00+00:00"),
        ("SWIFTBOLT_FIRST_DATE", "2026-13-01"),
        ("POLYGON_REQUESTS_PER_MINUTE", "-5"),
        ("POLYGON_BASE_URL", "file:///etc/passwd"),
        ("SWIFTBOLT_DATABASE_URL", "mysql://x"),
        ("MAX_CONCURRENT_JOBS", "0"),
    ],
)
@pytest.mark.parametrize("command", [["backfill", "AAPL"], ["status"], ["up"], ["migrate"]])
def test_a_bad_setting_is_refused_by_its_variable(
    refuse: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert refuse(*command).startswith(f"{name}: ")


def test_today_of_a_ticker_that_tradier_cannot_spell_is_refused(
    refuse: Callable[..., str],
) -> None:
    assert refuse("live", "AAPL", "BCpC", "--once").startswith(
        "symbol: BCpC: Tradier knows no small letters"
    )
