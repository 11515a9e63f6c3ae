"""`swiftbolt live` as a person runs it: real processes, wherever their machine stands."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Market, Shell

pytestmark = pytest.mark.slow

AFTERNOON = "2026-11-20T15:07:00-05:00"
EVENING = "2026-11-20T20:30:00-05:00"
SUNDAY = "2026-11-22T12:00:00-05:00"
NEXT_OPEN = "the exchange is closed; the next session opens 2026-11-23 09:30 New York time"


@pytest.fixture
def providers(market: Callable[..., Market]) -> Market:
    """Return a simulator whose clock stands at 17:30: a client must not rely on its end."""
    return market()


@pytest.fixture
def trader(new_settled: Callable[..., Shell], providers: Market) -> Shell:
    return new_settled(
        SWIFTBOLT_NOW=AFTERNOON,
        SWIFTBOLT_BACKGROUND="false",
        TRADIER_BASE_URL=providers.url,
        POLYGON_BASE_URL=providers.url,
    )


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles"])
def test_at_seven_past_three_22_bars_have_closed_whatever_the_hosts_zone(
    new_settled: Callable[..., Shell], zone: str
) -> None:
    shell = new_settled(SWIFTBOLT_NOW=AFTERNOON, TZ=zone)
    done = shell.run("live", "aapl", "--once", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["date"] == "2026-11-20"
    (row,) = done.json["symbols"]
    assert (row["symbol"], row["closed_bars"], row["bars"]) == ("AAPL", 22, 23)
    assert row["newest_closed_bar"] == "2026-11-20T19:45:00+00:00"
    assert 7 * 60 <= row["age_seconds"] < 8 * 60
    assert row["requests"] == 1

    later = shell.run("live", "AAPL", "--once", "--json", SWIFTBOLT_NOW=EVENING, TZ=zone)
    assert later.code == 0
    assert later.json["date"] == "2026-11-20"
    (row,) = later.json["symbols"]
    assert (row["closed_bars"], row["bars"]) == (26, 26)
    shell.close()


def test_each_symbol_has_a_line_and_outside_the_session_nothing_is_asked(
    trader: Shell, providers: Market
) -> None:
    done = trader.run("live", "AAPL", "BRK.B", "--once", SWIFTBOLT_NOW=EVENING)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["AAPL", "BRK.B"]
    assert "26 bars today, newest closed 15:45 New York time" in lines[0]
    assert lines[0].endswith("1 request")
    assert lines[2:] == [NEXT_OPEN]
    assert len(providers.requests()) == 2

    for now in (EVENING, SUNDAY, "2026-11-23T09:29:00-05:00"):
        again = trader.run("live", "AAPL", SWIFTBOLT_NOW=now)
        assert (again.code, again.out, again.err) == (0, f"{NEXT_OPEN}\n", "")
    as_json = trader.run("live", "AAPL", "--json", SWIFTBOLT_NOW=SUNDAY)
    assert as_json.json == {"symbols": [], "note": NEXT_OPEN}
    assert len(providers.requests()) == 2


def test_tracked_symbols_are_refreshed_until_ctrl_c(
    trader: Shell, providers: Market, finish: Callable[..., Any]
) -> None:
    assert trader.run("track", "MSFT", "--source", "watchlist").code == 0
    command = trader.start("live")
    assert command.stdout is not None
    assert command.stdout.readline().startswith("MSFT    23 bars today")
    command.send_signal(signal.SIGINT)
    done = finish(command)
    assert done.code == 0
    assert providers.requests()
    assert "Traceback" not in done.err


def test_a_refused_token_is_one_line_and_the_others_are_not_asked_for(
    new_settled: Callable[..., Shell], market: Callable[..., Market]
) -> None:
    strict = market(tradier_tokens=frozenset({"right"}))
    shell = new_settled(
        SWIFTBOLT_NOW=AFTERNOON,
        TRADIER_TOKEN="wrong-token-0123",
        TRADIER_BASE_URL=strict.url,
    )
    done = shell.run("live", "AAPL", "MSFT", "--once")
    assert done.code == 1
    assert done.out == ""
    first, second = done.err.splitlines()
    assert first.startswith("swiftbolt: AAPL: tradier: the token was refused (HTTP 401")
    assert second == "swiftbolt: 1 more not asked for"
    assert "wrong-token" not in done.err
    assert len(strict.requests()) == 1
    shell.close()


def test_with_polygons_key_alone_today_is_off_in_one_line(
    new_settled: Callable[..., Shell],
) -> None:
    shell = new_settled(SWIFTBOLT_NOW=AFTERNOON, POLYGON_API_KEY="a-key-0123456789")
    done = shell.run("live", "AAPL", "--once")
    assert done.code == 2
    assert done.one_line() == (
        "TRADIER_TOKEN: it is unset, so today's bars are off; set it to refresh them"
    )
    assert shell.run("live", "not a symbol", "--once").code == 2
    shell.close()
