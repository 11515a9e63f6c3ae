"""The operator's functions: a tick, the queue's state, another try, one slice at once."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a look at health writes into and takes back.
_PROBED = ("heartbeats", "rate_limit", "rate_slot", "rate_waiter")


@pytest.fixture
def operate(api: Any) -> Callable[..., Any]:
    """Return what calls the orchestrator with the service key."""
    return lambda action="", method="POST", **options: api.call(
        method,
        "orchestrator" + (f"?action={action}" if action else ""),
        key=api.keys.service,
        **options,
    )


def want(api: Any, symbol: str = "AAPL", days: int = 730) -> None:
    body = {"symbol": symbol, "timeframe": "m15", "window_days": days}
    assert api.post("ensure-coverage", body).status == 200


def test_a_tick_without_definitions_has_nothing_to_do(operate: Callable[..., Any]) -> None:
    nothing = {"scanned": 0, "slices_created": 0, "jobs_dispatched": 0, "errors": []}
    assert operate().json == {"message": "No jobs to process", "results": nothing}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"json": {}},
        {"json": {"action": "tick"}},
        {"content": b"", "headers": {"Content-Type": "application/json"}},
        {"method": "GET"},
    ],
)
def test_a_tick_plans_and_says_when_nothing_takes_the_work_on(
    api: Any, operate: Callable[..., Any], options: dict[str, Any]
) -> None:
    """With no body, an empty one, or a GET, as the guides print it."""
    body = {"symbols": ["AAPL"], "source": "watchlist"}
    api.post("sync-user-symbols", body)
    reply = operate(**options)
    assert reply.status == 200
    assert reply.json["message"] == "Tick complete"
    assert type(reply.json["duration"]) is int
    results = reply.json["results"]
    assert (results["scanned"], results["jobs_dispatched"]) == (3, 0)
    assert results["slices_created"] > 0
    (error,) = results["errors"]
    assert "swiftbolt up" in error
    # A tick again plans nothing twice.
    assert operate(**options).json["results"]["slices_created"] == 0


def test_a_tick_wakes_the_platform_and_counts_what_it_takes_on(
    api: Any, operate: Callable[..., Any]
) -> None:
    want(api)
    api.queue.beat()
    with api.queue.listen() as ear:

        def sensor() -> None:
            if ear.wait(10):
                api.queue.claim(least_priority=0)

        thread = threading.Thread(target=sensor)
        thread.start()
        results = operate().json["results"]
        thread.join()
    assert results["errors"] == []
    assert results["jobs_dispatched"] == 10
    assert operate().json["results"]["jobs_dispatched"] == 0


def test_the_status_has_true_totals_and_short_lists(api: Any, operate: Callable[..., Any]) -> None:
    """M19: the total was the length of a list of ten."""
    for symbol in ("AAPL", "TSLA", "MSFT"):
        want(api, symbol)
    claim = api.queue.claim(least_priority=0)
    newest = claim.slices[0]
    api.queue.begin(claim.symbol, newest.first, newest.last)
    report = operate("status").json
    assert (report["queued"], report["running"]) == (29, 1)
    assert len(report["queued_jobs"]) == 10
    (running,) = report["running_jobs"]
    assert (running["symbol"], running["timeframe"], running["status"]) == (
        claim.symbol, "m15", "running",
    )  # fmt: skip
    assert running["slice_from"].endswith("Z")
    assert datetime.fromisoformat(running["started_at"])
    api.fill(claim.symbol, [day for day in api.days(730) if newest.first <= day <= newest.last])
    report = operate("status", method="GET").json
    assert report["recent_jobs"][0]["status"] == "success"
    assert report["recent_jobs"][0]["rows_written"] > 1_000


def fail(api: Any, count: int, attempt: int = 1) -> None:
    api.sql(
        "update job_runs set status = 'failed', attempt = %s, error_code = 'PROVIDER_UNAVAILABLE',"
        " error_message = 'HTTP 503', finished_at = clock_timestamp() where id in (select id from"
        " job_runs where status = 'queued' order by last_day limit %s)",
        attempt,
        count,
    )


def test_retry_failed_takes_all(api: Any, operate: Callable[..., Any]) -> None:
    for symbol in ("AAPL", "TSLA"):
        want(api, symbol)
    fail(api, 12)
    fail(api, 3, attempt=5)
    assert operate("retry_failed").json == {"message": "Retried 15 failed jobs"}
    assert api.sql("select count(*) from job_runs where status = 'failed'") == [(0,)]
    assert operate(json={"action": "retry_failed"}).json == {"message": "Retried 0 failed jobs"}


@pytest.mark.parametrize("action", ["burn", "TICK", "tick%00", "'"])
def test_another_action_is_refused(operate: Callable[..., Any], action: str) -> None:
    reply = operate(action)
    assert (reply.status, reply.error) == (400, "Invalid action")


class Fetch:
    """A request for one slice."""

    def __init__(self, api: Any) -> None:
        self.api = api
        row = api.sql(
            "select id, symbol, timeframe::text, slice_from, slice_to, first_day, last_day"
            " from job_runs where status = 'queued' order by last_day limit 1"
        )[0]
        self.id, self.symbol, self.first, self.last = row[0], row[1], row[5], row[6]
        self.body = {
            "job_run_id": str(row[0]),
            "symbol": row[1],
            "timeframe": row[2],
            "from": row[3].isoformat(),
            "to": row[4].isoformat(),
        }

    def send(self, **changes: Any) -> Any:
        return self.api.post("fetch-bars", self.body | changes, key=self.api.keys.service)


@pytest.fixture
def fetch(api: Any) -> Fetch:
    want(api)
    return Fetch(api)


def test_fetch_bars_puts_its_slice_first_and_answers_what_was_stored(
    api: Any, fetch: Fetch
) -> None:
    days = [day for day in api.days(730) if fetch.first <= day <= fetch.last]
    with api.queue.listen() as ear:

        def platform() -> None:
            if ear.wait(10):
                claim = api.queue.claim(least_priority=0)
                assert claim.priority == 1_000_000
                assert (claim.slices[-1].first, claim.slices[-1].last) == (fetch.first, fetch.last)
                api.queue.begin(fetch.symbol, fetch.first, fetch.last)
                api.fill(fetch.symbol, days)

        thread = threading.Thread(target=platform)
        thread.start()
        reply = fetch.send()
        thread.join()
    assert reply.status == 200
    found = reply.json
    assert (
        found["rows_written"]
        == api.sql("select count(*) from ohlc_bars_v2 where timeframe = 'm15'")[0][0]
    )
    assert (found["job_run_id"], found["provider"]) == (str(fetch.id), "polygon")
    assert datetime.fromisoformat(found["from"]) == datetime.fromisoformat(fetch.body["from"])
    assert type(found["duration_ms"]) is int
    # What is done is told at once.
    assert fetch.send().json["rows_written"] == found["rows_written"]


def test_fetch_bars_answers_429_when_its_turn_has_not_come(
    api: Any, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failure modes 23 and 46: it neither fails the slice nor waits for ever."""
    monkeypatch.setattr("swiftbolt_assets.api.routes.work._FETCH_S", 0.3)
    reply = fetch.send()
    assert reply.status == 429
    assert reply.json == {
        "error": "Rate limit exceeded", "retry_after": 60, "job_run_id": str(fetch.id),
    }  # fmt: skip
    assert reply.headers["retry-after"] == "60"
    api.sql(
        "update job_runs set next_attempt_at = clock_timestamp() + interval '20 seconds',"
        " error_code = 'RATE_LIMIT_EXCEEDED' where id = %s",
        fetch.id,
    )
    assert 15 <= int(fetch.send().headers["retry-after"]) <= 20
    state = api.sql("select status, error_code, priority from job_runs where id = %s", fetch.id)
    assert state == [("queued", "RATE_LIMIT_EXCEEDED", 1_000_000)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("PROVIDER_UNAVAILABLE", 503),
        ("INVALID_SYMBOL", 400),
        ("PERMISSION_DENIED", 403),
        ("API_ERROR", 409),
    ],
)
def test_a_slice_that_failed_answers_with_its_code(
    api: Any, fetch: Fetch, code: str, status: int
) -> None:
    api.sql(
        "update job_runs set status = 'failed', error_code = %s, error_message = 'it said no',"
        " provider = 'polygon', finished_at = clock_timestamp() where id = %s",
        code,
        fetch.id,
    )
    reply = fetch.send()
    assert reply.status == status
    assert reply.json == {
        "error": "it said no", "code": code, "provider": "polygon", "job_run_id": str(fetch.id),
    }  # fmt: skip


def test_an_unknown_or_incomplete_slice_is_refused(fetch: Fetch) -> None:
    assert fetch.send(job_run_id=str(uuid4())).status == 404
    for name in fetch.body:
        body = {key: value for key, value in fetch.body.items() if key != name}
        reply = fetch.api.post("fetch-bars", body, key=fetch.api.keys.service)
        assert reply.status == 400
        assert reply.error.startswith("Missing required parameters")
    assert fetch.send(job_run_id="x").status == 400
    assert fetch.send(**{"from": "2026-11-20"}).status == 400
    assert fetch.send(symbol="TSLA").status == 404
    assert fetch.send(timeframe="h4").status == 404


def test_health_tells_the_parts(api: Any) -> None:
    found = api.health()
    assert found.status == 200
    assert found.json["status"] == "degraded"
    assert found.json["parts"]["database"]["status"] == "ok"
    assert "swiftbolt up" in found.json["parts"]["platform"]["message"]
    api.queue.beat()
    api.sql(
        "insert into provider_health (provider, failures, cooling_until, reason) values"
        " ('polygon', 3, clock_timestamp() + interval '90 seconds', 'HTTP 503')"
    )
    found = api.health().json
    assert found["parts"]["platform"]["status"] == "ok"
    polygon = found["parts"]["polygon"]
    assert (polygon["status"], polygon["message"]) == ("cooling_down", "HTTP 503")
    assert 80 < polygon["cooling_down_s"] <= 90
    api.sql("delete from provider_health")
    assert api.health().json["status"] == "ok"


def test_health_and_progress_tell_who_gets_nothing_while_others_do(api: Any) -> None:
    want(api, "TSLA")
    api.queue.beat()
    for symbol, outcome in (("TSLA", "BadRequestError"), ("AAPL", "ok")):
        api.sql(
            "insert into provider_requests (provider, endpoint, symbol, sent_at, seconds, status,"
            " outcome, bars, base_minutes) values ('polygon', '/v2/aggs/x', %s, clock_timestamp(),"
            " 0, 400, %s, 0, 0)",
            symbol,
            outcome,
        )
    api.sql("update job_runs set error_message = 'polygon: HTTP 400: no' where symbol = 'TSLA'")
    told = "TSLA gets nothing while others do: polygon: HTTP 400: no"
    found = api.health().json
    assert found["status"] == "degraded"
    assert found["parts"]["answers"] == {"status": "failing", "message": told}
    asked = {"symbol": "TSLA", "timeframe": "m15", "window_days": 30}
    assert api.post("ensure-coverage", asked).json["message"] == told
    api.sql("delete from provider_requests")
    assert api.health().json["status"] == "ok"


def test_health_calls_a_database_that_hangs_down_without_waiting_for_it(api: Any) -> None:
    with api.connect() as connection, connection.transaction():
        connection.execute("lock table provider_health")
        found = api.health()
    assert found.status == 503
    assert found.json["status"] == "down"
    assert "statement timeout" in found.json["parts"]["database"]["message"]
    assert api.health().status == 200


def test_a_look_at_health_leaves_no_row_and_asks_for_no_slot_of_a_provider(api: Any) -> None:
    before = [api.sql(f"select count(*) from {table}") for table in _PROBED]
    with api.connect() as connection, connection.transaction():
        connection.execute("insert into rate_limit (name, n, window_s) values ('polygon', 5, 60)")
        assert api.health().status == 200
        connection.execute("delete from rate_limit")
    assert [api.sql(f"select count(*) from {table}") for table in _PROBED] == before


def test_metrics_count_the_queue_and_the_answers(api: Any) -> None:
    want(api)
    fail(api, 2)
    text = api.get("/metrics", key=None).body.decode()
    assert 'swiftbolt_jobs{status="queued"} 8.0' in text
    assert 'swiftbolt_jobs{status="failed"} 2.0' in text
    assert "swiftbolt_tick_age_seconds -1.0" in text
    assert 'route="/functions/v1/ensure-coverage"' in text
    api.get("/no/such/path/1")
    assert "/no/such/path/1" not in api.get("/metrics", key=None).body.decode()
