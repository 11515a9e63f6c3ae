"""`swiftbolt backfill` as a person meets it: real processes, a real database, real HTTP."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

KEYS = {
    "symbols", "from", "to", "sessions", "sessions_wanted", "bars", "requests",
    "theoretical_minimum", "rejected_bars", "seconds", "seconds_to_first_bar", "state",
    "simulated", "errors",
}  # fmt: skip
#: 2026-10-21 to 2026-11-19 are 22 sessions before "today", 2026-11-20.
SESSIONS = 22
BARS = {"m15": SESSIONS * 26, "h1": SESSIONS * 7, "h4": SESSIONS * 2}


@pytest.fixture(scope="module")
def filled(new_shell: Callable[..., Any], module_market: Any) -> Iterator[Any]:
    """Return a home with thirty days of AAPL and BRK.B; its database is kept running."""
    shell = new_shell(
        "home with 'quotes\" & $blanks",
        POLYGON_BASE_URL=module_market.url,
        TRADIER_BASE_URL=module_market.url,
    )
    assert shell.run("env").code == 0
    shell.first = shell.run("backfill", "AAPL", "brk.b", "aapl", "--days", "30", "--json")
    yield shell
    shell.close()


def test_the_first_fill_is_one_json_object_with_exact_counts(filled: Any) -> None:
    first = filled.first
    assert first.code == 0, first.err
    assert first.out.count("\n") == 1
    report = first.json
    assert set(report) == KEYS
    assert report["symbols"] == ["AAPL", "BRK.B"]
    assert (report["from"], report["to"]) == ("2026-10-21", "2026-11-20")
    assert report["sessions"] == report["sessions_wanted"] == 2 * SESSIONS
    today = {"m15": 26, "h1": 7, "h4": 2}
    assert report["bars"] == {name: 2 * (count + today[name]) for name, count in BARS.items()}
    assert (report["state"], report["simulated"], report["errors"]) == ("complete", True, [])
    assert (report["requests"], report["theoretical_minimum"]) == (4, 2)
    assert report["rejected_bars"] == 0
    assert 0 < report["seconds_to_first_bar"] <= report["seconds"]


def test_nothing_but_canonical_symbols_is_stored(filled: Any) -> None:
    stored = "select ticker from symbols s where exists (select from session_coverage c"
    assert filled.sql(f"{stored} where c.symbol_id = s.id) order by 1") == [("AAPL",), ("BRK.B",)]
    assert filled.sql("select count(*) from symbols where ticker <> upper(ticker)") == [(0,)]


def test_a_second_fill_asks_history_nothing_and_says_so(filled: Any, module_market: Any) -> None:
    module_market.reset()
    again = filled.run("backfill", "AAPL", "BRK.B", "--days", "30", "--to", "")
    assert again.code == 2  # an empty date is a mistake, not a default
    again = filled.run("backfill", "AAPL", "BRK.B", "--from", "2026-10-21", "--to", "2026-11-19")
    assert again.code == 0
    assert module_market.requests() == []
    assert "AAPL, BRK.B 2026-10-21..2026-11-19: complete (simulated)" in again.out
    assert f"sessions  {2 * SESSIONS} of {2 * SESSIONS} before today" in again.out
    assert "requests  0 (theoretical minimum 0), 0 bars rejected" in again.out
    assert max(map(len, again.out.splitlines())) <= 80
    # Off a terminal: whole lines, no colours, no carriage returns.
    assert again.err == f"AAPL +1: 100 % · {2 * BARS['m15']:,} bars · 0 requests\n"


def test_force_asks_again_and_rewrites_no_row(filled: Any, module_market: Any) -> None:
    module_market.reset()
    rows = "select count(*), max(xmin::text::bigint), sum(hashtext(b::text)::bigint) from {} b"
    table = rows.format("ohlc_bars_v2")
    before = filled.sql(table)
    window = ("--from", "2026-11-02", "--to", "2026-11-13", "--force", "--json")
    report = filled.run("backfill", "AAPL", *window).json
    assert (report["requests"], report["sessions"], report["state"]) == (1, 10, "complete")
    assert len(module_market.requests()) == 1
    assert filled.sql(table) == before


def test_a_half_day_has_fourteen_four_and_one_bar(filled: Any) -> None:
    half = filled.run("backfill", "AAPL", "--from", "2025-11-28", "--to", "2025-11-28", "--json")
    assert half.json["bars"] == {"m15": 14, "h1": 4, "h4": 1}


def test_keys_on_a_home_of_simulated_bars_are_refused_in_one_line(filled: Any) -> None:
    refused = filled.run("backfill", "AAPL", "--days", "5", POLYGON_API_KEY="a-real-key")
    assert refused.code != 0
    line = refused.one_line()
    assert "simulated" in line
    assert "SWIFTBOLT_HOME" in line or "POLYGON_API_KEY" in line
    assert "a-real-key" not in line


def test_a_symbol_that_nobody_knows_is_settled_and_said(filled: Any) -> None:
    done = filled.run("backfill", "ZZZZQ", "--days", "5")
    assert done.code == 0
    assert "no provider has a bar of it in these days; is the symbol right?" in done.out


def test_a_refused_connection_is_one_clear_line(filled: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = filled.run(
            *("backfill", "NVDA", "AMD", "MSFT", "TSLA", "--days", "5", "--json"),
            POLYGON_BASE_URL=url,
        )
    assert done.code == 1
    assert done.json["state"] == "incomplete"
    assert done.json["bars"]["m15"] == 0
    errors = [line for line in done.err.splitlines() if line.startswith("swiftbolt: ")]
    # One or two symbols' failures are not yet a reason to leave a provider alone; a third's is.
    assert len(errors) == len(done.json["errors"]) == 3
    assert errors[0] == "swiftbolt: NVDA: polygon: ConnectError: [Errno 111] Connection refused"
    assert errors[-1].endswith("1 more symbol was not asked for")
    assert "Traceback" not in done.err


def test_a_gateways_web_page_is_no_bars_and_one_clear_line(filled: Any, module_market: Any) -> None:
    # The provider cools down after the test before; an explicit backfill probes it.
    module_market.spoil(rate=1.0, kinds=["html200"])
    done = filled.run("backfill", "NVDA", "--from", "2026-11-16", "--to", "2026-11-19", "--json")
    module_market.reset()
    assert done.code == 1
    assert (done.json["requests"], done.json["bars"]["m15"]) == (1, 0)
    assert len(done.json["errors"]) == 1
    healed = filled.run("backfill", "NVDA", "--from", "2026-11-16", "--to", "2026-11-19", "--json")
    assert (healed.code, healed.json["bars"]["m15"]) == (0, 4 * 26)


def test_coverage_tells_what_is_stored_and_what_is_not(filled: Any) -> None:
    report = filled.run("coverage", "aapl", "--timeframe", "h1", "--json").json
    assert (report["symbol"], report["timeframe"]) == ("AAPL", "h1")
    assert report["bars"] >= BARS["h1"]
    assert report["absent"].keys() <= {"not_fetched", "no_trade"}
    text = filled.run("coverage", "BRK.B")
    assert text.code == 0
    assert f"sessions  {SESSIONS} of {SESSIONS} final" in text.out
    assert max(map(len, text.out.splitlines())) <= 80


def test_coverage_of_an_unknown_symbol_says_what_to_run(filled: Any) -> None:
    done = filled.run("coverage", "UBER", "--json")
    assert done.code == 1
    assert done.one_line() == "UBER: nothing is stored; run swiftbolt backfill UBER"
    assert filled.sql("select count(*) from symbols where ticker = 'UBER'") == [(0,)]


def test_status_tells_budget_platform_and_symbols(filled: Any) -> None:
    report = filled.run("status", "--json").json
    assert (report["platform"], report["data_source"]) == ("stopped", "simulated")
    assert report["today"] == "2026-11-20"
    assert {"AAPL", "BRK.B"} <= {row["symbol"] for row in report["symbols"]}
    one = filled.run("status", "brk.b")
    assert "BRK.B     22 sessions final" in one.out
    assert "AAPL" not in one.out


def test_a_good_installation_gets_a_good_diagnosis(filled: Any) -> None:
    # The tests before had requests fail.
    with psycopg.connect(filled.database_url) as connection:
        connection.execute("delete from provider_requests where outcome <> 'ok'")
    done = filled.run("doctor")
    assert done.code == 0, done.out
    assert all(line.startswith("ok ") for line in done.out.splitlines())


def test_every_bad_finding_is_told_and_counts(filled: Any) -> None:
    with psycopg.connect(filled.database_url) as connection:
        connection.execute(
            "insert into provider_health (provider, failures, cooling_until, reason, error_code)"
            " values ('tradier', 3, now() + interval '1 hour', 'it was down', 'API_ERROR')"
            " on conflict (provider) do update set cooling_until = excluded.cooling_until,"
            " reason = excluded.reason, error_code = excluded.error_code"
        )
        connection.execute("update alembic_version set version_num = '0000'")
    try:
        done = filled.run("doctor", POLYGON_API_KEY="a-real-key")
    finally:
        with psycopg.connect(filled.database_url) as connection:
            connection.execute("update alembic_version set version_num = '0001'")
            connection.execute("delete from provider_health where provider = 'tradier'")
    assert done.code == 1
    assert "a-real-key" not in done.out
    bad = {line.split()[1]: line for line in done.out.splitlines() if line.startswith("BAD")}
    assert set(bad) == {"schema", "bars", "requests"}
    assert "swiftbolt migrate" in bad["schema"]
    assert "simulated" in bad["bars"]
    assert "it was down" in bad["requests"]
