"""Polygon's aggregates over real HTTP."""

from __future__ import annotations

import base64
import gzip
import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from swiftbolt_assets.simulator.calendar import midnight_ms, sessions
from swiftbolt_assets.simulator.config import Recency

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Start = Callable[..., httpx.Client]


def ask(
    api: httpx.Client, symbol: str, span: str, first: object, last: object, **params: object
) -> dict[str, Any]:
    reply = api.get(f"/v2/aggs/ticker/{symbol}/range/{span}/{first}/{last}", params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def local(stamp: int) -> datetime:
    from swiftbolt_assets.simulator.calendar import from_ms

    return from_ms(stamp)


FIRST = date(2025, 1, 2)
SESSIONS = [one.day for one in sessions(FIRST, date(2026, 1, 1))]


def test_50000_base_minutes_hold_52_full_sessions_and_80_minutes(api: httpx.Client) -> None:
    body = ask(api, "AAPL", "15/minute", FIRST, SESSIONS[60], limit=50000, adjusted="false")
    days = [local(row["t"]).date() for row in body["results"]]
    assert (body["queryCount"], body["resultsCount"], body["count"]) == (50000, 3333, 3333)
    assert len(days) == 52 * 64 + 5
    assert days[52 * 64] == SESSIONS[52]
    assert "next_url" in body


def test_52_full_sessions_fit_one_page_without_a_link(api: httpx.Client) -> None:
    body = ask(api, "AAPL", "15/minute", FIRST, SESSIONS[51], limit=50000, adjusted="false")
    assert (body["queryCount"], body["resultsCount"]) == (52 * 960, 52 * 64)
    assert "next_url" not in body


def test_100_base_minutes_make_one_hour_as_the_vendor_explains(api: httpx.Client) -> None:
    body = ask(api, "AAPL", "1/hour", "2025-07-01", "2025-07-01", limit=100)
    assert (body["queryCount"], body["resultsCount"]) == (100, 1)
    assert local(body["results"][0]["t"]).hour == 4
    assert urlsplit(body["next_url"]).path.split("/")[-2] == str(
        midnight_ms(date(2025, 7, 1)) + 5 * 3_600_000
    )


def test_a_window_that_ends_with_the_limit_is_kept(api: httpx.Client) -> None:
    body = ask(api, "AAPL", "15/minute", "2025-07-01", "2025-07-01", limit=30)
    assert body["resultsCount"] == 2


def test_the_default_limit_is_5000_base_minutes(api: httpx.Client) -> None:
    body = ask(api, "AAPL", "15/minute", "2025-07-01", "2025-07-31")
    assert (body["queryCount"], body["resultsCount"]) == (5000, 333)


def test_only_minutes_that_exist_count(api: httpx.Client) -> None:
    body = ask(api, "THIN", "15/minute", "2025-01-02", "2025-12-31", limit=50000)
    assert body["queryCount"] < 11_000
    assert "next_url" not in body


@pytest.mark.parametrize("symbol", ["AAPL", "THIN", "MIDL"])
@pytest.mark.parametrize("limit", [1000, 4999])
@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_the_chain_of_links_equals_one_big_answer(
    api: httpx.Client, symbol: str, limit: int, sort: str
) -> None:
    whole = ask(api, symbol, "15/minute", "2025-10-20", "2025-12-05", limit=50000, sort=sort)
    body = ask(api, symbol, "15/minute", "2025-10-20", "2025-12-05", limit=limit, sort=sort)
    rows = body["results"]
    pages = 1
    while "next_url" in body:
        body = api.get(body["next_url"]).json()
        rows += body.get("results", [])
        pages += 1
    assert rows == whole["results"]
    assert pages > 1 or symbol == "THIN"


def test_the_link_names_the_next_window_and_carries_no_key_and_no_adjusted(
    api: httpx.Client,
) -> None:
    reply = api.get(
        "/v2/aggs/ticker/SPLT/range/15/minute/2025-07-01/2025-07-31",
        params={"limit": 2000, "adjusted": "false", "apiKey": "secret-key"},
    )
    body = reply.json()
    assert "secret-key" not in reply.text
    link = urlsplit(body["next_url"])
    assert list(parse_qs(link.query)) == ["cursor"]
    cursor = parse_qs(link.query)["cursor"][0]
    assert "=" not in cursor
    assert base64.b64decode(cursor + "==") == b"limit=2000&sort=asc"
    assert int(link.path.split("/")[-2]) == body["results"][-1]["t"] + 900_000
    assert body["adjusted"] is False
    assert api.get(body["next_url"]).json()["adjusted"] is True
    assert api.get(body["next_url"] + "&adjusted=false").json()["adjusted"] is False


def test_the_text_has_the_recorded_key_order_and_exponents(api: httpx.Client) -> None:
    reply = api.get("/v2/aggs/ticker/AAPL/range/1/day/2025-07-01/2025-07-03")
    pairs = json.loads(reply.text, object_pairs_hook=lambda pairs: pairs)
    assert [key for key, _ in pairs] == [
        "ticker",
        "queryCount",
        "resultsCount",
        "adjusted",
        "results",
        "status",
        "request_id",
        "count",
    ]
    assert [key for key, _ in dict(pairs)["results"][0]] == [
        "v",
        "vw",
        "o",
        "c",
        "h",
        "l",
        "t",
        "n",
    ]
    assert re.search(r'"v":\d\.\d+e\+0[78],"vw":', reply.text)
    assert " " not in reply.text
    body = reply.json()
    assert reply.headers["x-request-id"] == body["request_id"]
    assert len(body["request_id"]) == 32
    assert [local(row["t"]).strftime("%m-%d %H:%M") for row in body["results"]] == [
        "07-01 00:00",
        "07-02 00:00",
        "07-03 00:00",
    ]


def test_some_bars_lack_vw_and_n_and_some_volumes_have_fractions(api: httpx.Client) -> None:
    rows = ask(api, "AAPL", "15/minute", "2026-03-02", "2026-04-30", limit=50000)["results"]
    bare = [row for row in rows if "vw" not in row]
    assert 0 < len(bare) < len(rows) / 50
    assert all("n" not in row for row in bare)
    assert any(row["v"] % 1 for row in rows)
    assert any(not row["l"] <= row.get("vw", row["l"]) <= row["h"] for row in rows)


@pytest.mark.parametrize(
    ("symbol", "first", "last"),
    [
        ("ZZTOP", "2025-07-01", "2025-07-02"),
        ("aapl", "2025-07-01", "2025-07-02"),
        ("AAPL", "2025-07-04", "2025-07-06"),
        ("AAPL", "2025-01-09", "2025-01-09"),
        ("NEWCO", "2025-06-01", "2025-06-15"),
    ],
)
def test_no_bars_means_no_results_key(
    api: httpx.Client, symbol: str, first: str, last: str
) -> None:
    body = ask(api, symbol, "15/minute", first, last)
    assert "results" not in body
    assert (body["ticker"], body["queryCount"], body["resultsCount"]) == (symbol, 0, 0)
    assert body["status"] == "OK"


def test_extended_hours_and_the_auction_bar_are_there(api: httpx.Client) -> None:
    rows = ask(api, "AAPL", "15/minute", "2025-11-26", "2025-11-28")["results"]
    times = [local(row["t"]).strftime("%d %H:%M") for row in rows]
    assert times[0] == "26 04:00"
    assert "26 16:00" in times
    assert times[63:65] == ["26 19:45", "28 04:00"]
    assert times[-1] == "28 16:45"
    assert len(times) == 64 + 52


def test_windows_are_aligned_across_all_four_clock_changes(api: httpx.Client) -> None:
    for first, last in (
        ("2025-03-07", "2025-03-10"),
        ("2025-10-31", "2025-11-03"),
        ("2026-03-06", "2026-03-09"),
        ("2026-10-30", "2026-11-02"),
    ):
        rows = ask(api, "AAPL", "15/minute", first, last)["results"]
        assert len(rows) == 128
        assert all(row["t"] % 900_000 == 0 for row in rows)
        assert [local(rows[at]["t"]).strftime("%H:%M") for at in (0, 63, 64, 127)] == [
            "04:00",
            "19:45",
            "04:00",
            "19:45",
        ]


def test_windows_are_anchored_at_from(api: httpx.Client) -> None:
    four = midnight_ms(date(2025, 7, 1)) + 4 * 3_600_000
    body = ask(api, "AAPL", "330/minute", four, four + 330 * 60_000 - 1)
    assert [row["t"] for row in body["results"]] == [four]
    assert body["queryCount"] == 330
    drifting = ask(api, "AAPL", "5/minute", four + 180_000, four + 900_000)["results"]
    assert drifting[0]["t"] == four + 180_000


def test_a_range_of_one_millisecond_is_its_whole_minute(api: httpx.Client) -> None:
    at = midnight_ms(date(2025, 7, 1)) + 10 * 3_600_000 + 30_000
    assert [row["t"] for row in ask(api, "AAPL", "1/minute", at, at)["results"]] == [at - 30_000]


@pytest.mark.parametrize(
    ("span", "starts"),
    [
        ("1/week", ["2025-06-29", "2025-07-06"]),
        ("1/month", ["2025-07-01"]),
        ("1/quarter", ["2025-07-01"]),
        ("1/year", ["2025-01-01"]),
        ("2/day", ["2025-07-01", "2025-07-03", "2025-07-07"]),
    ],
)
def test_longer_timespans_start_at_their_calendar_unit(
    api: httpx.Client, span: str, starts: list[str]
) -> None:
    rows = ask(api, "AAPL", span, "2025-07-01", "2025-07-08")["results"]
    assert [f"{local(row['t']).date()}" for row in rows] == starts


def test_a_daily_bar_ends_with_the_auction_and_has_more_volume_than_its_minutes(
    api: httpx.Client,
) -> None:
    day = ask(api, "AAPL", "1/day", "2025-07-01", "2025-07-01")["results"][0]
    minutes = ask(api, "AAPL", "1/minute", "2025-07-01", "2025-07-01")["results"]
    assert day["c"] == minutes[12 * 60]["c"]
    assert day["o"] == minutes[330]["o"]
    assert day["v"] > sum(row["v"] for row in minutes)


def test_adjusted_prices_are_the_default_and_change_with_the_split(api: httpx.Client) -> None:
    raw = ask(api, "SPLT", "15/minute", "2025-09-05", "2025-09-05", adjusted="false")["results"]
    adjusted = ask(api, "SPLT", "15/minute", "2025-09-05", "2025-09-05", adjusted="True")["results"]
    assert [row["o"] / 10 for row in raw] == pytest.approx([row["o"] for row in adjusted], abs=1e-4)
    assert [row["v"] * 10 for row in raw] == pytest.approx([row["v"] for row in adjusted])
    default = ask(api, "SPLT", "15/minute", "2025-09-05", "2025-09-05")
    assert default["adjusted"] is True
    assert default["results"] == adjusted


def test_before_the_split_is_executed_adjusted_equals_raw(start: Start) -> None:
    eve = datetime(2025, 9, 7, 12, tzinfo=UTC)
    early = start(now=lambda: eve)
    for adjusted in ("true", "false"):
        rows = ask(early, "SPLT", "15/minute", "2025-09-05", "2025-09-05", adjusted=adjusted)
        assert rows["results"][0]["o"] > 300


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("15/minute/2025-13-01/2025-07-02", "Could not parse the time parameter: 'from'"),
        ("15/minute/2025-07-01/tomorrow", "Could not parse the time parameter: 'to'"),
        ("15/minute/1e9/2025-07-02", "Could not parse the time parameter: 'from'"),
        ("15/minute/2025-07-02/2025-07-01", "'to' cannot be a time that occurs before 'from'"),
        ("0/minute/2025-07-01/2025-07-02", "The parameter 'multiplier' is not valid"),
        ("15/minute/2025-07-01/2025-07-02?limit=x", "The parameter 'limit' is not valid"),
        ("15/minute/2025-07-01/2025-07-02?sort=up", "The parameter 'sort' is not valid"),
    ],
)
def test_a_bad_range_is_refused_with_400(api: httpx.Client, path: str, text: str) -> None:
    reply = api.get(f"/v2/aggs/ticker/AAPL/range/{path}")
    assert reply.status_code == 400
    assert reply.json()["status"] == "ERROR"
    assert text in reply.json()["error"]


def test_both_forms_of_the_key_work_and_none_or_an_unknown_one_is_401(start: Start) -> None:
    api = start(polygon_keys=frozenset({"good"}))
    path = "/v2/aggs/ticker/AAPL/range/15/minute/2025-07-01/2025-07-01"
    none = api.get(path, headers={"Authorization": ""})
    assert (none.status_code, none.json()["error"]) == (401, "API Key was not provided")
    unknown = api.get(path, headers={"Authorization": "Bearer bad"})
    assert (unknown.status_code, unknown.json()["error"]) == (401, "Unknown API Key")
    assert len(unknown.json()["request_id"]) == 32
    assert api.get(path, headers={"Authorization": "Bearer good"}).status_code == 200
    assert api.get(path, headers={"Authorization": ""}, params={"apiKey": "good"}).is_success


def test_the_free_plan_reaches_two_years_back_and_truncates_silently(start: Start) -> None:
    api = start(horizon_years=2)
    older = api.get("/v2/aggs/ticker/AAPL/range/1/day/2024-11-01/2024-11-19")
    assert older.status_code == 403
    assert older.json()["status"] == "NOT_AUTHORIZED"
    assert "data timeframe" in older.json()["message"]
    rows = ask(api, "AAPL", "15/minute", "2024-11-01", "2024-11-22")["results"]
    assert local(rows[0]["t"]).date() == date(2024, 11, 20)


def test_today_and_the_future_are_refused_with_different_messages(api: httpx.Client) -> None:
    today = api.get("/v2/aggs/ticker/AAPL/range/15/minute/2026-11-20/2026-11-20")
    assert today.status_code == 403
    assert "before end of day" in today.json()["message"]
    future = api.get("/v2/aggs/ticker/AAPL/range/15/minute/2026-11-23/2026-11-23")
    assert future.status_code == 403
    assert "data timeframe" in future.json()["message"]
    seconds = api.get("/v2/aggs/ticker/AAPL/range/1/second/2026-11-18/2026-11-18")
    assert seconds.status_code == 403
    assert "not entitled" in seconds.json()["message"]


def test_today_is_served_once_the_new_york_date_has_changed(start: Start) -> None:
    after = datetime(2026, 11, 21, 5, 0, 1, tzinfo=UTC)
    api = start(now=lambda: after)
    assert ask(api, "AAPL", "15/minute", "2026-11-20", "2026-11-20")["resultsCount"] == 64
    before = datetime(2026, 11, 21, 4, 59, 59, tzinfo=UTC)
    api = start(now=lambda: before)
    reply = api.get("/v2/aggs/ticker/AAPL/range/15/minute/2026-11-20/2026-11-20")
    assert reply.status_code == 403


def test_a_real_time_plan_serves_a_partial_bar_for_now(start: Start) -> None:
    now = datetime(2026, 11, 20, 15, 7, 30, tzinfo=UTC)
    api = start(now=lambda: now, polygon_recency=Recency.REAL_TIME)
    rows = ask(api, "AAPL", "15/minute", "2026-11-20", "2026-11-20")
    assert local(rows["results"][-1]["t"]).strftime("%H:%M") == "10:00"
    assert rows["queryCount"] == 6 * 60 + 8
    delayed = start(now=lambda: now, polygon_recency=Recency.DELAYED)
    body = ask(delayed, "AAPL", "15/minute", "2026-11-20", "2026-11-20")
    assert body["queryCount"] == 6 * 60 + 8 - 15
    assert body["status"] == "DELAYED"


def test_what_reaches_into_the_last_session_is_marked_delayed(api: httpx.Client) -> None:
    assert ask(api, "AAPL", "1/day", "2026-11-18", "2026-11-19")["status"] == "DELAYED"
    assert ask(api, "AAPL", "1/day", "2026-11-17", "2026-11-18")["status"] == "OK"


def test_a_sixth_request_within_60_seconds_is_429_and_does_not_count(start: Start) -> None:
    clock = [1_000_000.0]
    api = start(polygon_requests_per_minute=5, seconds=lambda: clock[0], polygon_retry_after=True)
    path = "/v3/reference/tickers/AAPL"
    for _ in range(5):
        assert api.get(path).status_code == 200
        clock[0] += 1
    refused = api.get(path)
    assert refused.status_code == 429
    assert "maximum requests per minute" in refused.json()["error"]
    assert refused.headers["retry-after"] == "55"
    clock[0] = 1_000_060.0
    assert api.get(path).status_code == 200
    assert api.get(path).status_code == 429
    assert api.get(path, headers={"Authorization": "Bearer other"}).status_code == 200


def test_retry_after_is_absent_by_default(start: Start) -> None:
    api = start(polygon_requests_per_minute=1)
    path = "/v1/marketstatus/now"
    assert api.get(path).status_code == 200
    refused = api.get(path)
    assert refused.status_code == 429
    assert "retry-after" not in refused.headers


def test_replies_are_packed_only_for_those_who_accept_it(api: httpx.Client) -> None:
    path = "/v2/aggs/ticker/AAPL/range/15/minute/2025-07-01/2025-07-01"
    packed = api.get(path)
    assert packed.headers["content-encoding"] == "gzip"
    plain = api.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["content-type"] == "application/json"
    with api.stream("GET", path) as reply:
        raw = b"".join(reply.iter_raw())
    assert json.loads(gzip.decompress(raw))["results"] == plain.json()["results"]


def test_two_simulators_of_one_seed_serve_the_same_bytes_but_for_request_ids(start: Start) -> None:
    paths = [
        "/v2/aggs/ticker/AAPL/range/15/minute/2026-06-01/2026-06-30",
        "/v2/aggs/ticker/ORDINARY/range/1/minute/2026-06-01/2026-06-01",
        "/v1/markets/timesales?symbol=THIN&interval=5min&start=2026-11-16",
        "/v1/markets/quotes?symbols=AAPL",
    ]
    bodies = []
    for _ in range(2):
        api = start(seed=42)
        texts = []
        for path in paths:
            reply = api.get(path)
            request_id = reply.headers.get("x-request-id", "none")
            origin = str(api.base_url).rstrip("/")
            texts.append(reply.text.replace(request_id, "").replace(origin, ""))
        bodies.append(texts)
    assert bodies[0] == bodies[1]
    other = start(seed=43).get(paths[0])
    assert other.json()["results"] != start(seed=42).get(paths[0]).json()["results"]


def test_two_years_of_one_symbol_take_ten_requests(api: httpx.Client) -> None:
    last = date(2026, 11, 19)
    days = [one.day for one in sessions(last - timedelta(days=729), last)]
    requests = 0
    for at in range(0, len(days), 52):
        chunk = days[at : at + 52]
        body = ask(api, "AAPL", "15/minute", chunk[0], chunk[-1], limit=50000)
        assert "next_url" not in body
        requests += 1
    assert requests == 10
