"""What all answers have in common: statuses, headers, other origins, and no key in any log."""


# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

POSTS = ("ensure-coverage", "sync-user-symbols", "watchlist-sync", "chart-data-v2", "fetch-bars")
GETS = ("coverage", "chart", "symbols-search", "quotes", "events")
AAPL = {"symbol": "AAPL", "timeframe": "m15"}
ORIGIN = "https://app.example"
ASKED = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, x-client-info, apikey, content-type",
}


@pytest.mark.parametrize("name", POSTS)
def test_a_function_that_takes_posts_says_so(api: Any, name: str) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        reply = api.call(method, name)
        assert (reply.status, reply.error) == (405, "Method Not Allowed")
        assert reply.headers["allow"] == "POST"


@pytest.mark.parametrize("name", GETS)
def test_a_function_that_takes_gets_says_so(api: Any, name: str) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        reply = api.call(method, name)
        assert (reply.status, reply.headers["allow"].partition(",")[0]) == (405, "GET")


@pytest.mark.parametrize("path", ["nope", "", "chart/x", "/nope", "/chart/assets/../app.py"])
def test_an_unknown_path_is_not_found(api: Any, path: str) -> None:
    for method in ("GET", "POST"):
        assert api.call(method, path).status == 404


def test_an_incomplete_request_names_what_is_missing(api: Any) -> None:
    for body in ({}, {"symbol": "AAPL"}, {"timeframe": "m15"}, {"symbol": "", "timeframe": "m15"}):
        reply = api.post("ensure-coverage", body)
        assert reply.status == 400
        assert reply.error == "Missing required parameters: symbol, timeframe"
    assert api.get("coverage").error == "Symbol is required"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"timeframe": "m7"}, "Invalid timeframe. Must be one of: m15, h1, h4, d1, w1"),
        ({"symbol": "A B"}, "symbol"),
        ({"symbol": "A" * 50}, "symbol"),
        ({"window_days": 0}, "window_days"),
        ({"window_days": 36_501}, "window_days"),
        ({"priority": -1}, "priority"),
        ({"priority": "x"}, "priority"),
    ],
)
def test_a_value_that_is_wrong_is_named(api: Any, changes: dict[str, Any], error: str) -> None:
    """Failure mode 45: whatever was asked for became a job."""
    reply = api.post("ensure-coverage", AAPL | changes)
    assert reply.status == 400
    assert error in reply.error
    assert api.sql("select count(*) from job_definitions") == [(0,)]


def test_no_answer_may_be_kept_and_all_carry_the_security_headers(api: Any) -> None:
    replies = [
        api.post("ensure-coverage", AAPL),
        api.post("ensure-coverage", {}),
        api.post("chart-data-v2", AAPL),
        api.post("chart-data-v2", AAPL, headers={"Accept": "application/vnd.apache.arrow.stream"}),
        api.get("nope"),
        api.get("symbols-search?q=a", key="garbage"),
        api.get("/health", key=None),
    ]
    assert [reply.status for reply in replies] == [200, 400, 200, 200, 404, 401, 200]
    for reply in replies:
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "server" not in reply.headers


def test_a_browser_at_home_needs_no_permission(api: Any) -> None:
    for name in (*POSTS, *GETS, "orchestrator"):
        reply = api.call("OPTIONS", name, key=None)
        assert (reply.status, reply.body) == (200, b"ok")
        assert "POST" in reply.headers["allow"]
    reply = api.call("OPTIONS", "ensure-coverage", key=None, headers=ASKED)
    assert "access-control-allow-origin" not in reply.headers
    reply = api.post("ensure-coverage", AAPL, headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
def test_pages_of_other_origins_call_functions_as_configured_and_read_no_key(
    serve: Callable[..., Any], allowed: str
) -> None:
    """The chart's page holds the app's key: whoever may read it has it."""
    with serve(SWIFTBOLT_CORS_ORIGINS=allowed) as api:
        asked = api.call("OPTIONS", "ensure-coverage", key=None, headers=ASKED)
        assert asked.status == 200
        assert asked.headers["access-control-allow-origin"] == allowed
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
            assert method in asked.headers["access-control-allow-methods"]
        for name in ("authorization", "x-client-info", "apikey", "content-type"):
            assert name in asked.headers["access-control-allow-headers"].lower()
        for status, body in ((200, AAPL), (400, {})):
            reply = api.post("ensure-coverage", body, headers={"Origin": ORIGIN})
            assert reply.status == status
            assert reply.headers["access-control-allow-origin"] == allowed
        stranger = {**ASKED, "Origin": "https://evil.example"}
        reply = api.call("OPTIONS", "ensure-coverage", key=None, headers=stranger)
        assert (reply.status == 400) == (allowed != "*")
        page = api.get("/chart", key=None, headers={"Origin": ORIGIN})
        assert "access-control-allow-origin" not in page.headers
        assert api.get("/health", key=None, headers={"Host": ""}).status == 400


def test_the_page_holds_the_key_only_under_a_name_of_this_machine(
    serve: Callable[..., Any],
) -> None:
    with serve(SWIFTBOLT_CORS_ORIGINS="https://charts.example") as api:
        assert api.keys.anon in api.get("/chart", key=None).body.decode()
        told = api.get("/chart", key=None, headers={"Host": "localhost:80"})
        assert api.keys.anon in told.body.decode()
        shown = api.get("/chart", key=None, headers={"Host": "charts.example"})
        assert shown.status == 200
        assert api.keys.anon not in shown.body.decode()
        assert api.keys.service not in api.get("/chart", key=None).body.decode()


def test_no_key_is_in_any_log_or_answer(
    api: Any, token: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    """Failure mode 43."""
    person = token(uuid4())
    secrets = (api.keys.anon, api.keys.service, api.keys.jwt_secret, person)
    caplog.set_level(logging.DEBUG)
    seen = []
    for key in (api.keys.anon, api.keys.service, person, person[:-3] + "abc"):
        for headers in ({}, {"apikey": api.keys.service}):
            for method, path in (
                ("POST", "ensure-coverage"),
                ("POST", "sync-user-symbols"),
                ("POST", "fetch-bars"),
                ("GET", "symbols-search?q=a"),
                ("GET", "orchestrator?action=status"),
                ("GET", "nope"),
                ("GET", "/openapi.json"),
                ("GET", "/metrics"),
                ("GET", "/health"),
            ):
                body = AAPL | {"symbols": ["AAPL"], "source": "watchlist", "key": key}
                options = {"json": body} if method == "POST" else {}
                seen.append(api.call(method, path, key=key, headers=headers, **options).body)
    api.sql("select set_config('statement_timeout', '1', false)")
    for secret in secrets:
        assert secret.encode() not in b"".join(seen)
        # Our own client logs nothing of headers; what is left is the server's.
        assert secret not in caplog.text
    assert repr(api.keys) == "ApiKeys()"


def test_an_unexpected_failure_is_one_line_and_logged_without_a_key(
    api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("swiftbolt_assets.api.routes.symbols.search_symbols", fails)
    reply = api.get("symbols-search?q=a")
    assert (reply.status, reply.error) == (500, "Internal server error")
    assert "GET /functions/v1/symbols-search failed" in caplog.text
    assert api.keys.anon not in caplog.text
