"""Every function as supabase-js and supabase-py call it: by POST, fields in a JSON body."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from postgrest.exceptions import APIError
from supabase import AuthApiError, ClientOptions, FunctionsHttpError, create_client

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

#: Function -> the body with which it answers 200.
ASKED: dict[str, dict[str, Any]] = {
    "ensure-coverage": {"symbol": "AAPL", "timeframe": "h1", "window_days": 30},
    "sync-user-symbols": {"symbols": ["AAPL"], "source": "chart_view"},
    "watchlist-sync": {"action": "add", "symbol": "AAPL"},
    "chart-data-v2": {"symbol": "AAPL", "timeframe": "h1", "days": 30},
    "symbols-search": {"q": "aapl"},
    "quotes": {"symbols": ["AAPL", "MSFT"]},
    "coverage": {"symbol": "AAPL", "days": 30},
    "chart": {"symbol": "AAPL", "timeframe": "h1"},
    "events": {"symbol": "AAPL", "timeframe": "h1"},
    "user-refresh": {"symbol": "AAPL"},
    "reload-watchlist-data": {},
    "market-status": {"symbol": "AAPL"},
}
OPERATORS: dict[str, dict[str, Any]] = {
    "orchestrator": {"action": "status"},
    "fetch-bars": {"symbol": "AAPL", "timeframe": "m15", "job_run_id": str(UUID(int=1))}
    | {"from": "2026-11-19T14:30:00Z", "to": "2026-11-19T21:00:00Z"},
}


@pytest.fixture
def filled(api: Any) -> Any:
    """Return the API with a symbol that has bars."""
    api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15", "window_days": 60})
    api.fill("AAPL", api.days(10))
    return api


def test_every_function_of_the_description_is_asked_by_post_here(api: Any) -> None:
    """A new one needs a line in `ASKED`."""
    told = api.get("/openapi.json", key=None).json["paths"]
    functions = {path for path in told if path.startswith("/functions/v1/")}
    assert {path.rpartition("/")[2] for path in functions} == {*ASKED, *OPERATORS}
    assert all("post" in told[path] for path in functions)


def test_supabase_js_in_node_gets_an_answer_of_every_function(
    filled: Any, node: Callable[..., Any]
) -> None:
    calls = [[name, {"body": body}] for name, body in ASKED.items()]
    told = dict(zip(ASKED, node(filled.url, filled.keys.anon, calls=calls), strict=True))
    assert {name: answer["status"] for name, answer in told.items()} == dict.fromkeys(ASKED, 200)
    assert told["symbols-search"]["data"][0]["ticker"] == "AAPL"
    assert told["quotes"]["data"]["quotes"][0]["symbol"] == "AAPL"
    assert told["coverage"]["data"]["window"]["first_day"] == "2026-10-21"
    assert told["chart-data-v2"]["data"]["layers"]["historical"]["count"] > 0
    assert told["events"]["data"].startswith(": welcome")
    assert [item["symbol"] for item in told["watchlist-sync"]["data"]["items"]] == ["AAPL"]

    calls = [[name, {"body": body}] for name, body in OPERATORS.items()]
    found = node(filled.url, filled.keys.service, calls=calls)
    assert [answer["status"] for answer in found] == [200, 404]
    assert found[1]["error"]["error"].startswith("job_run_id: no run")
    refused = node(filled.url, filled.keys.anon, calls=calls)
    assert [answer["status"] for answer in refused] == [403, 403]


def test_supabase_js_asks_by_get_and_in_the_functions_name_too(
    filled: Any, node: Callable[..., Any]
) -> None:
    calls = [
        ["symbols-search?q=aapl", {"method": "GET"}],
        ["symbols-search?q=aapl", {}],
        ["symbols-search?q=nothing", {"body": {"q": "aapl"}}],
        ["symbols-search", {"body": {"q": "aapl"}, "region": "us-east-1"}],
    ]
    for answer in node(filled.url, filled.keys.anon, calls=calls):
        assert answer["status"] == 200
        assert answer["data"][0]["ticker"] == "AAPL"


def test_supabase_js_is_told_in_words_what_is_wrong(
    filled: Any, node: Callable[..., Any], token: Callable[..., str]
) -> None:
    calls = [
        ["user-refresh", {}],
        ["symbols-search", {"body": {"q": {"deep": 1}}}],
        ["coverage", {"body": {"symbol": "AAPL", "days": "many"}}],
        ["quotes", {"body": "symbols=AAPL"}],
        ["quotes", {"body": ["AAPL"]}],
        ["no-such-function", {"body": {}}],
    ]
    *answers, table = node(filled.url, filled.keys.anon, calls=calls, table="ohlc_bars_v2")
    assert [answer["status"] for answer in answers] == [400, 400, 400, 400, 400, 404]
    lines = [answer["error"]["error"] for answer in answers]
    assert lines[0] == "Symbol is required"
    assert lines[1].startswith("q: it is neither a value")
    assert lines[2].startswith("days: ")
    assert lines[3:5] == ["body: it is no JSON", "body: send a JSON object"]
    assert table["status"] == 404
    assert all(isinstance(table["error"][name], str) for name in ("message", "code", "hint"))

    (expired,) = node(
        filled.url, filled.keys.anon, token=token(uuid4(), exp=1), calls=[["watchlist-sync", {}]]
    )
    assert expired == {"status": 401, "error": {"error": "token: it has expired; sign in again"}}
    person = {"email": "a@example.com", "password": "secret"}
    (nobody,) = node(filled.url, filled.keys.anon, person=person)
    assert nobody["error"].startswith("sign-in is not served here")


# It warns of what it does itself.
@pytest.mark.filterwarnings("ignore:The '.*' parameter is deprecated:DeprecationWarning")
def test_supabase_py_gets_an_answer_of_every_function(
    filled: Any, token: Callable[..., str]
) -> None:
    client = create_client(filled.url, filled.keys.anon, ClientOptions(httpx_client=filled.http))
    for name, body in ASKED.items():
        if name != "events":  # it reads whole answers, and a stream has no end
            assert client.functions.invoke(name, {"body": body, "responseType": "json"}), name
    person = uuid4()
    client.functions.set_auth(token(person))
    assert client.functions.invoke("watchlist-sync", {"body": ASKED["watchlist-sync"]})
    assert filled.sql("select count(*) from watchlists where user_id = %s", person) == [(1,)]

    with pytest.raises(FunctionsHttpError, match="Symbol is required"):
        client.functions.invoke("user-refresh")
    with pytest.raises(APIError) as table:
        client.table("ohlc_bars_v2").select("*").execute()
    assert table.value.message == "tables are not served here"
    with pytest.raises(AuthApiError, match="sign-in is not served here"):
        client.auth.sign_in_with_password({"email": "a@example.com", "password": "secret"})


def test_a_publishable_key_opens_from_the_apikey_header_alone(
    serve: Callable[..., Any], node: Callable[..., Any], token: Callable[..., str]
) -> None:
    """Supabase's newer keys are no tokens; a session's token may come beside them."""
    key = "sb_publishable_of_the_tests_0001"
    with serve(SWIFTBOLT_ANON_KEY=key) as api:
        api.clear()
        by_key = {"headers": {"apikey": key}, "key": None}
        assert api.get("symbols-search?q=a", **by_key).status == 200
        assert api.post("symbols-search", {"q": "a"}, **by_key).status == 200
        person = uuid4()
        both = {"headers": {"apikey": key}, "key": token(person)}
        assert api.post("watchlist-sync", {"action": "list"}, **both).status == 200
        assert api.sql("select user_id from watchlists") == [(person,)]
        (answer,) = node(api.url, key, calls=[["symbols-search", {"body": {"q": "a"}}]])
        assert answer["status"] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("key", [None, "anon"])
def test_what_is_not_served_answers_json_as_the_clients_read_it(
    api: Any, method: str, key: str | None
) -> None:
    shown = {"key": key and api.keys.anon}
    for path in ("/rest/v1/ohlc_bars_v2?select=*", "/rest/v1/", "/rest/v1/rpc/get_chart_bars"):
        reply = api.call(method, path, **shown)
        assert reply.status == 404
        assert reply.headers["content-type"] == "application/json"
        if method != "HEAD":
            assert set(reply.json) == {"message", "code", "details", "hint"}
    for path in ("/auth/v1/token?grant_type=password", "/storage/v1/x", "/nothing", "/rest"):
        reply = api.call(method, path, **shown)
        assert reply.status == 404, path
        assert reply.headers["content-type"] == "application/json"
        assert method == "HEAD" or reply.error
