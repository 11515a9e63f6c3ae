"""`swiftbolt track`: one row a user, symbol and source, and definitions that only ever rise."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

NOBODY = "00000000-0000-0000-0000-000000000000"
#: Window in days of a timeframe nobody has changed.
WINDOWS = {"m15": 30, "h1": 90, "h4": 365}


@pytest.fixture(scope="module")
def home(new_settled: Callable[..., Any]) -> Iterator[Any]:
    """Return a home whose database runs on between the commands."""
    shell = new_settled()
    with embedded.lease(shell.home):
        yield shell


def wanted(home: Any, symbol: str) -> dict[str, tuple[int, int]]:
    """Return days and priority by timeframe of a symbol's enabled definitions."""
    rows = home.sql(
        "select timeframe::text, window_days, priority from job_definitions"
        f" where symbol = '{symbol}' and enabled and job_type = 'fetch_intraday'"
    )
    return {name: (days, priority) for name, days, priority in rows}


def sources(home: Any, symbol: str) -> list[tuple[str, int, str]]:
    rows: list[tuple[str, int, str]] = home.sql(
        "select source, priority, user_id::text from user_symbol_tracking u"
        f" join symbols s on s.id = u.symbol_id where ticker = '{symbol}' order by 1"
    )
    return rows


@pytest.mark.parametrize(
    ("symbol", "source", "priority"),
    [("SNOW", "watchlist", 300), ("SHOP", "chart_view", 200), ("UBER", "recent_search", 100)],
)
def test_a_source_gives_three_definitions_its_priority(
    home: Any, symbol: str, source: str, priority: int
) -> None:
    done = home.run("track", symbol.lower(), "--source", source)
    assert (done.code, done.err) == (0, "")
    assert sources(home, symbol) == [(source, priority, NOBODY)]
    assert wanted(home, symbol) == {name: (days, priority) for name, days in WINDOWS.items()}
    assert done.out.splitlines()[0] == (
        f"{symbol:<9} m15 30 days at priority {priority}, h1 90 days at priority {priority}, "
        f"h4 365 days at priority {priority}"
    )
    assert "swiftbolt up" in done.out


def test_background_symbols_rise_to_what_people_look_at(home: Any) -> None:
    for symbol, source, priority in (
        ("TSLA", "watchlist", 300),
        ("NVDA", "recent_search", 100),
        ("AMD", "chart_view", 200),
    ):
        assert {p for _, p in wanted(home, symbol).values()} == {40, 50, 60}
        assert home.run("track", symbol, "--source", source).code == 0
        assert sources(home, symbol) == [(source, priority, NOBODY)]
        assert wanted(home, symbol) == {name: (days, priority) for name, days in WINDOWS.items()}


def test_a_search_after_a_watchlist_lowers_neither_priority_nor_window(home: Any) -> None:
    assert home.run("track", "DIS", "--source", "watchlist").code == 0
    assert home.run("jobs", "set", "DIS", "--window", "730").code == 0
    done = home.run("track", "DIS", "--source", "recent_search", "--json")
    assert wanted(home, "DIS") == dict.fromkeys(WINDOWS, (730, 300))
    (symbol,) = done.json["symbols"]
    assert [row["timeframe"] for row in symbol["wanted"]] == ["m15", "h1", "h4"]
    assert {(row["window_days"], row["priority"]) for row in symbol["wanted"]} == {(730, 300)}


def test_a_repeat_touches_nothing_but_the_time(home: Any) -> None:
    def rows() -> Any:
        return home.sql(
            "select u.id, u.created_at, u.updated_at from user_symbol_tracking u"
            " join symbols s on s.id = u.symbol_id where ticker = 'ORCL'"
        )

    def definitions() -> Any:
        return home.sql("select * from job_definitions where symbol = 'ORCL' order by id")

    assert home.run("track", "ORCL", "ORCL", "--source", "watchlist").code == 0
    (before,), kept = rows(), definitions()
    assert home.run("track", "ORCL", "--source", "watchlist").code == 0
    (after,) = rows()
    assert after[:2] == before[:2]
    assert after[2] > before[2]
    assert definitions() == kept


def test_an_unknown_ticker_is_added_in_its_canonical_spelling(home: Any) -> None:
    done = home.run("track", "zz.b", "qqqx", "--source", "chart_view", "--json")
    assert [row["symbol"] for row in done.json["symbols"]] == ["ZZ.B", "QQQX"]
    assert home.sql("select ticker from symbols where ticker in ('ZZ.B', 'QQQX') order by 1") == [
        ("QQQX",),
        ("ZZ.B",),
    ]


def test_a_user_that_is_not_there_is_one_line_and_nothing_is_stored(home: Any) -> None:
    stranger = "00000000-0000-0000-0000-00000000000f"
    for arguments, environment in (
        (["--user", stranger], {}),
        ([], {"SWIFTBOLT_ANON_USER": stranger}),
    ):
        done = home.run("track", "NOPE", "--source", "watchlist", *arguments, **environment)
        line = done.one_line()
        assert line.startswith(f"user: {stranger} ")
        assert "--user" in line
        assert "SWIFTBOLT_ANON_USER" in line
        assert done.code == 2
    assert home.sql("select 1 from symbols where ticker = 'NOPE'") == []


def test_interest_is_its_users(home: Any) -> None:
    somebody = "5b0c6a9e-0d0c-4b8e-9c39-1f5f0a8a7c11"
    home.sql(f"insert into auth.users (id) values ('{somebody}') returning 1")
    arguments = ("track", "PYPL", "--source", "watchlist")
    assert home.run(*arguments).code == 0
    assert home.run(*arguments, "--user", somebody.upper()).code == 0
    assert [row[2] for row in sources(home, "PYPL")] == [NOBODY, somebody]


def test_an_operators_pin_outlasts_interest(home: Any) -> None:
    assert home.run("jobs", "set", "EBAY", "--window", "5", "--priority", "7", "--pin").code == 0
    done = home.run("track", "EBAY", "--source", "watchlist")
    assert "m15 5 days at priority 7 (pinned)" in done.out
    assert wanted(home, "EBAY") == dict.fromkeys(WINDOWS, (5, 7))


def test_many_processes_track_the_same_symbols_in_any_order_at_once(home: Any) -> None:
    symbols = [f"P{letter}" for letter in "ABCDEFGHIJ"]
    running = [
        home.start("track", *order, "--source", source)
        for source in ("watchlist", "chart_view", "recent_search")
        for order in (symbols, symbols[::-1])
    ]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
    for symbol in symbols:
        assert wanted(home, symbol) == {name: (days, 300) for name, days in WINDOWS.items()}
        assert len(sources(home, symbol)) == 3


def test_ten_processes_that_track_one_symbol_at_once_leave_one_set_of_definitions(
    home: Any, finish: Callable[..., Any]
) -> None:
    sources = ("watchlist", "chart_view", "recent_search")
    started = [
        home.start("track", "ROKU", "PINS", "--source", sources[number % 3]) for number in range(10)
    ]
    done = [finish(process) for process in started]
    assert [(one.code, one.err) for one in done] == [(0, "")] * 10
    for symbol in ("ROKU", "PINS"):
        assert wanted(home, symbol) == {name: (days, 300) for name, days in WINDOWS.items()}
    planned = "select plan_job_runs('ROKU')"
    with psycopg.connect(home.database_url, autocommit=True) as connection:
        assert connection.execute(planned).fetchone() != (0,)
        assert connection.execute(planned).fetchone() == (0,)
    doubled = (
        "select count(*) from (select symbol, timeframe, first_day from job_runs"
        " where symbol = 'ROKU' group by 1, 2, 3 having count(*) > 1) d"
    )
    assert home.sql(doubled) == [(0,)]
