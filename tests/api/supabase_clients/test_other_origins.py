"""Pages of other origins: what they may call with supabase-js, and that they never see the key."""

# ruff: noqa: ANN401 - the browser's types are a library's, answers are JSON

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

HEADERS = (
    "authorization", "x-client-info", "apikey", "content-type", "accept", "prefer",
    "x-retry-count", "x-region", "traceparent", "tracestate", "baggage",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OPEN = ("/functions/v1/watchlist-sync", "/rest/v1/ohlc_bars_v2", "/quotes")
CLOSED = ("/chart", "/chart/assets/main.js", "/", "/docs", "/health", "/metrics", "/auth/v1/token")
ORIGIN = "https://charts.example"
#: `[status, text]` of a fetch, null where the browser keeps the answer from the page.
FETCH = """async ([url, options]) => {
  try {
    const reply = await fetch(url, options);
    return [reply.status, await reply.text()];
  } catch (error) { return null }
}"""
INVOKE = """async ([url, key, token, calls]) => {
  const client = supabase.createClient(url, key, token ? { accessToken: async () => token } : {});
  const answers = [];
  for (const [name, options] of calls) {
    const { data, error } = await client.functions.invoke(name, options);
    answers.push(error ? `${error}` : data);
  }
  return answers;
}"""


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
@pytest.mark.parametrize("path", OPEN)
def test_a_preflight_allows_every_header_and_method_of_supabases_clients(
    serve: Callable[..., Any], allowed: str, path: str
) -> None:
    with serve(SWIFTBOLT_CORS_ORIGINS=allowed) as api:
        for method in METHODS:
            asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
            asked["Access-Control-Request-Headers"] = ", ".join(HEADERS)
            reply = api.call("OPTIONS", path, key=None, headers=asked)
            assert reply.status == 200, reply.body
            assert reply.headers["access-control-allow-origin"] == allowed
            assert method in reply.headers["access-control-allow-methods"]
            granted = reply.headers["access-control-allow-headers"].lower().split(", ")
            assert set(HEADERS) <= set(granted)
            assert "access-control-allow-credentials" not in reply.headers


def test_what_may_hold_the_key_is_opened_to_no_other_origin(serve: Callable[..., Any]) -> None:
    with serve(SWIFTBOLT_CORS_ORIGINS="*") as api:
        for path in CLOSED:
            for method in METHODS:
                for key in (None, api.keys.anon):
                    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
                    reply = api.call(method, path, key=key, headers=asked)
                    told = [name for name in reply.headers if name.startswith("access-control-")]
                    assert told == [], (method, path)


def test_supabase_js_on_a_page_of_another_origin_asks_every_function(
    serve: Callable[..., Any], browser: Any, elsewhere: str
) -> None:
    with serve(SWIFTBOLT_CORS_ORIGINS=elsewhere) as api:
        api.clear()
        page = browser.new_page()
        page.goto(elsewhere)
        calls = [
            ["watchlist-sync", {"body": {"action": "add", "symbol": "AAPL"}}],
            ["symbols-search", {"body": {"q": "aapl"}, "region": "us-east-1"}],
            ["quotes", {"body": {"symbols": ["AAPL"]}}],
            ["coverage", {"body": {"symbol": "AAPL"}}],
            ["ensure-coverage", {"body": {"symbol": "AAPL", "timeframe": "h1"}}],
            ["sync-user-symbols", {"body": {"symbols": ["AAPL"], "source": "chart_view"}}],
            ["chart-data-v2", {"body": {"symbol": "AAPL", "timeframe": "h1"}}],
            ["chart", {"body": {"symbol": "AAPL", "timeframe": "h1"}}],
        ]
        told = page.evaluate(INVOKE, [api.url, api.keys.anon, None, calls])
        assert [item["symbol"] for item in told[0]["items"]] == ["AAPL"]
        assert told[1][0]["ticker"] == "AAPL"
        for answer in told[2:]:
            assert isinstance(answer, dict), told
        page.close()


def test_a_page_of_another_origin_never_reads_the_page_that_holds_the_key(
    serve: Callable[..., Any], browser: Any, elsewhere: str
) -> None:
    """Whether it shows a key of its own or none, in whatever way it asks."""
    with serve(SWIFTBOLT_CORS_ORIGINS="*") as api:
        assert api.keys.anon in api.get("/chart", key=None).body.decode()
        page = browser.new_page()
        page.goto(elsewhere)

        def fetched(path: str, **options: Any) -> Any:
            return page.evaluate(FETCH, [api.url + path, options])

        shown: dict[str, Any] = {"headers": {"Authorization": "Bearer a-key-that-opens-nothing"}}
        assert fetched("/functions/v1/symbols-search?q=a", **shown)[0] == 401
        for path in ("/chart", "/", "/chart/assets/main.js"):
            for options in (
                {},
                shown,
                {"headers": {"apikey": "x"}},
                {"headers": {"Accept": "application/json"}},
                {"credentials": "include"},
                {"method": "POST", "body": "x"},
            ):
                assert fetched(path, **options) is None, (path, options)
            # An answer that no script may look into.
            assert fetched(path, mode="no-cors") == [0, ""]
        # Nor from a frame or a window of the page itself.
        seen = page.evaluate(
            """async (url) => {
              const frame = document.createElement("iframe");
              frame.src = url;
              const loaded = new Promise((resolve) => { frame.onload = resolve });
              document.body.append(frame);
              await loaded;
              try { return frame.contentWindow.document.documentElement.outerHTML }
              catch (error) { return error.name }
            }""",
            f"{api.url}/chart",
        )
        assert seen == "SecurityError"
        page.close()


def test_without_the_setting_no_other_origin_calls_anything(
    api: Any, browser: Any, elsewhere: str
) -> None:
    page = browser.new_page()
    page.goto(elsewhere)
    headers = {"headers": {"Authorization": f"Bearer {api.keys.anon}"}}
    for path in ("/functions/v1/symbols-search?q=a", "/rest/v1/x", "/quotes?symbols=A", "/chart"):
        assert page.evaluate(FETCH, [api.url + path, headers]) is None
    page.close()
