"""`swiftbolt status` of the queue: slices count once, reasons and times stand beside them."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(new_settled: Callable[..., Any]) -> Iterator[Any]:
    """Return a home at five requests a minute, without background symbols; its database runs on."""
    # Statements by hand plan at the real time.
    shell = new_settled(
        POLYGON_REQUESTS_PER_MINUTE="5", SWIFTBOLT_BACKGROUND="false", SWIFTBOLT_NOW=""
    )
    with embedded.lease(shell.home):
        shell.sql("update job_definitions set enabled = false returning 1")
        yield shell


def status(home: Any, *arguments: str) -> dict[str, Any]:
    done = home.run("status", "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    report: dict[str, Any] = done.json
    return report


def test_nothing_to_do_is_said_so(home: Any) -> None:
    report = status(home)
    assert report["queue"] == {
        "queued": 0, "running": 0, "retrying": 0, "failed": 0,
        "next_attempt_s": None, "unplanned_symbols": 0, "eta_s": 0.0,
    }  # fmt: skip
    for name in ("running_jobs", "retrying_jobs", "failed_jobs", "recent_jobs"):
        assert report[name] == []
    assert {"platform", "budgets", "requests", "symbols", "data_source", "now", "today"} <= {
        *report
    }
    shown = home.run("status").out
    assert "\nqueue     empty\n" in shown
    one = home.run("status", "QQQQ").out
    assert "QQQQ      nothing stored yet; run swiftbolt backfill QQQQ" in one


def test_slices_of_three_timeframes_count_once(home: Any) -> None:
    for symbol in ("AAPL", "MSFT"):
        assert home.run("jobs", "set", symbol, "--window", "700", "--priority", "300",
                        "--enabled").code == 0  # fmt: skip
    assert status(home)["queue"]["unplanned_symbols"] == 2
    assert "2 wanted symbols not planned yet; swiftbolt up plans" in home.run("status").out
    home.sql("select plan_job_runs()")
    report = status(home)
    ((slices, rows),) = home.sql(
        "select count(distinct (symbol, first_day)), count(*) from job_runs where status = 'queued'"
    )
    assert slices * 3 == rows
    assert report["queue"]["queued"] == slices
    assert report["queue"]["unplanned_symbols"] == 0
    # Five go at once, each further minute brings five.
    minutes = (slices - 5 - 1) // 5
    assert 60 * minutes <= report["queue"]["eta_s"] < 60 * minutes + 10
    shown = home.run("status").out
    assert f"queue     {slices} slices waiting; about " in shown
    assert "once the platform runs" in shown


def test_a_symbol_waits_for_what_goes_before_it(home: Any) -> None:
    assert home.run("jobs", "set", "TSLA", "--window", "20", "--priority", "100",
                    "--enabled").code == 0  # fmt: skip
    home.sql("select plan_job_runs()")
    everything, last, first = status(home), status(home, "TSLA"), status(home, "AAPL")
    assert last["queue"]["queued"] == 1
    assert last["queue"]["eta_s"] == everything["queue"]["eta_s"]
    assert first["queue"]["queued"] == (everything["queue"]["queued"] - 1) / 2
    assert [row["symbol"] for row in last["symbols"]] == ["TSLA"]


def test_running_retrying_failed_and_done_tell_why_and_when(home: Any) -> None:
    home.sql("select claim_symbol(gen_random_uuid(), 0)")
    ((symbol, first, last),) = home.sql(
        "select distinct symbol, first_day, last_day from job_runs r where claim_id is not null"
        " and last_day = (select max(last_day) from job_runs where symbol = r.symbol)"
    )
    home.sql(f"select begin_slices('{symbol}', '{first}', '{last}')")
    before = status(home)
    assert before["queue"]["running"] == 1
    (job,) = before["running_jobs"]
    assert (job["symbol"], job["first_day"], job["last_day"]) == (symbol, str(first), str(last))
    assert job["timeframes"] == ["m15", "h1", "h4"]
    assert f"at work   {symbol} {first}..{last}, priority 300" in home.run("status").out

    home.sql(f"select fail_slices('{symbol}', 'RATE_LIMIT_EXCEEDED', 'polygon: 429', true)")
    limited = status(home, symbol)
    assert limited["queue"]["retrying"] > 0
    assert limited["queue"]["running"] == 0
    assert 0 < limited["queue"]["next_attempt_s"] <= 60
    assert "RATE_LIMIT_EXCEEDED" in {job["error_code"] for job in limited["retrying_jobs"]}
    assert {job["attempt"] for job in limited["retrying_jobs"]} == {1}
    shown = home.run("status", symbol).out
    assert "the next retry in " in shown
    assert "RATE_LIMIT_EXCEEDED: polygon: 429" in shown

    home.sql(
        "update job_runs set status = 'failed', error_code = 'INVALID_SYMBOL',"
        " error_message = 'polygon: it is refused', finished_at = clock_timestamp()"
        " where symbol = 'TSLA' and status = 'queued' returning 1"
    )
    refused = status(home)
    assert refused["queue"]["failed"] == 1
    (job,) = refused["failed_jobs"]
    assert (job["symbol"], job["error_code"], job["error_message"]) == (
        "TSLA", "INVALID_SYMBOL", "polygon: it is refused",
    )  # fmt: skip
    assert job["next_attempt_at"] is None
    line = f"failed    TSLA {job['first_day']}..{job['last_day']}: INVALID_SYMBOL: polygon: "
    assert line in home.run("status").out


def test_the_last_successes_are_told_with_their_bars(home: Any) -> None:
    home.sql("select restart_slices('TSLA')")
    done = home.run("backfill", "TSLA", "--days", "20")
    assert done.code == 0, done.err
    report = status(home, "TSLA")
    (job,) = report["recent_jobs"]
    ((written,),) = home.sql(
        "select sum(rows_written)::int from job_runs where symbol = 'TSLA' and status = 'success'"
    )
    assert job["rows_written"] == written > 300
    assert report["queue"]["failed"] == 0
    assert f"done      TSLA {job['first_day']}..{job['last_day']}, " in home.run("status").out


def test_a_cool_down_is_told_with_its_reason_and_counts(home: Any) -> None:
    home.sql(
        "insert into provider_health (provider, failures, cooling_until, reason, error_code)"
        " values ('polygon', 3, clock_timestamp() + interval '280 seconds', 'HTTP 503',"
        " 'PROVIDER_UNAVAILABLE') on conflict (provider) do update set failures = 3,"
        " cooling_until = excluded.cooling_until, reason = excluded.reason,"
        " error_code = excluded.error_code returning 1"
    )
    report = status(home)
    polygon = report["budgets"][0]
    assert "HTTP 503" in polygon["cooling_down"]
    assert 200 < polygon["cooling_down_s"] <= 280
    assert report["queue"]["eta_s"] > polygon["cooling_down_s"]
    assert "cooling down: polygon: not asked before " in home.run("status").out
