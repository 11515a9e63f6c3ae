"""Each fault does visibly what it says, and only while it is on."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from swiftbolt_assets.simulator.faults import ALL_KINDS, BAR_PAGE, CREDIBLE, KINDS, POLYGON_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., httpx.Client]

AGGS = "/v2/aggs/ticker/AAPL/range/15/minute/2026-11-16/2026-11-19"
SALES = "/v1/markets/timesales"
WINDOW = {"symbol": "AAPL", "interval": "15min", "start": "2026-11-19 09:30", "end": "2026-11-19"}


@pytest.fixture(name="api")
def clean_api(api: httpx.Client) -> Iterator[httpx.Client]:
    """Yield the shared client, with an empty log and no faults before and after."""
    for path in ("faults", "requests"):
        api.delete(f"/simulator/{path}")
    yield api
    api.delete("/simulator/faults")


def switch(api: httpx.Client, *kinds: str, **settings: object) -> None:
    reply = api.put("/simulator/faults", json={"kinds": list(kinds), **settings})
    assert reply.status_code == 200, reply.text


def get(api: httpx.Client, **params: object) -> httpx.Response:
    return api.get(AGGS, params={"adjusted": "false", **params})


def spoilt(api: httpx.Client, kind: str, **params: object) -> tuple[Any, Any]:
    """Return the good reply's JSON and the one that a fault has spoilt."""
    good = get(api, **params).json()
    switch(api, kind, times=1)
    bad = get(api, **params).json()
    assert get(api, **params).json()["results"] == good["results"]
    return good, bad


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("500", 500, "application/json"),
        ("502", 502, "text/html"),
        ("429", 429, "application/json"),
        ("html200", 200, "text/html; charset=utf-8"),
        ("not_authorized_200", 200, "application/json"),
    ],
)
def test_faults_of_the_status_replace_polygons_reply(
    api: httpx.Client, kind: str, status: int, content_type: str
) -> None:
    switch(api, kind)
    reply = get(api)
    assert (reply.status_code, reply.headers["content-type"]) == (status, content_type)
    if content_type == "application/json":
        assert reply.json()["status"] in {"ERROR", "NOT_AUTHORIZED"}
        assert "results" not in reply.json()


@pytest.mark.parametrize(
    ("kind", "status", "key"),
    [("500", 500, "fault"), ("429", 429, "fault"), ("not_authorized_200", 200, "errors")],
)
def test_faults_of_the_status_speak_tradiers_words(
    api: httpx.Client, kind: str, status: int, key: str
) -> None:
    switch(api, kind)
    reply = api.get(SALES, params=WINDOW)
    assert (reply.status_code, list(reply.json())) == (status, [key])


def test_dropped_connections_close_before_or_within_the_reply(api: httpx.Client) -> None:
    switch(api, "drop", seed=3)
    met = set()
    for _ in range(12):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as raised:
            get(api)
        met.add("incomplete" in str(raised.value) or "peer closed" in str(raised.value))
    assert met == {True, False}
    log = api.get("/simulator/requests").json()
    assert [entry["status"] for entry in log] == [None] * 12
    api.delete("/simulator/faults")
    assert get(api).status_code == 200


def test_a_truncated_body_is_a_whole_reply_with_half_the_json(api: httpx.Client) -> None:
    switch(api, "truncate")
    reply = get(api)
    assert reply.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        reply.json()
    assert reply.text.startswith('{"ticker":"AAPL"')


def test_a_slow_reply_is_right_and_outlasts_a_time_out(api: httpx.Client) -> None:
    switch(api, "slow", seconds=1.0)
    with pytest.raises(httpx.ReadTimeout):
        api.get(AGGS, timeout=0.2)
    switch(api, "slow", seconds=0.05)
    assert get(api).json()["resultsCount"] == 4 * 64


def test_a_duplicate_is_the_same_bar_twice_in_a_row(api: httpx.Client) -> None:
    good, bad = spoilt(api, "duplicate")
    stamps = [row["t"] for row in bad["results"]]
    assert len(stamps) == len(good["results"]) + 1
    assert sum(a == b for a, b in itertools.pairwise(stamps)) == 1


def test_disorder_swaps_two_neighbours(api: httpx.Client) -> None:
    good, bad = spoilt(api, "disorder")
    assert bad["results"] != good["results"]
    assert sorted(bad["results"], key=lambda row: row["t"]) == good["results"]


def test_a_foreign_bar_lies_30_days_back(api: httpx.Client) -> None:
    good, bad = spoilt(api, "foreign_date")
    first = good["results"][0]["t"]
    strays = [row for row in bad["results"] if row["t"] < first]
    assert len(strays) == 1
    assert [row for row in bad["results"] if row["t"] >= first] == good["results"]


@pytest.mark.parametrize(
    ("kind", "key", "is_bad"),
    [
        ("nan", "o", lambda value: value != value),  # noqa: PLR0124 - NaN
        ("negative", "l", lambda value: value < 0),
        ("string_price", "c", lambda value: isinstance(value, str)),
        ("misaligned", "t", lambda value: value % 900_000),
    ],
)
def test_one_bar_of_the_page_has_a_bad_value(
    api: httpx.Client, kind: str, key: str, is_bad: Callable[[object], object]
) -> None:
    good, bad = spoilt(api, kind)
    assert len(bad["results"]) == len(good["results"])
    assert sum(bool(is_bad(row[key])) for row in bad["results"]) == 1
    assert not any(is_bad(row[key]) for row in good["results"])


@pytest.mark.parametrize(
    ("kind", "of_good"),
    [
        ("hour_shift", lambda stamp: stamp + 3_600_000),
        ("late_bars", lambda stamp: stamp + 480_000),
        ("seconds_stamps", lambda stamp: stamp // 1000),
    ],
)
def test_all_stamps_of_the_page_are_off_by_the_same(
    api: httpx.Client, kind: str, of_good: Callable[[int], int]
) -> None:
    good, bad = spoilt(api, kind)
    assert [row["t"] for row in bad["results"]] == [of_good(row["t"]) for row in good["results"]]
    assert [row | {"t": 0} for row in bad["results"]] == [row | {"t": 0} for row in good["results"]]


@pytest.mark.parametrize(
    ("kind", "key", "times"), [("spike_price", "h", 100), ("huge_volume", "v", 1e6)]
)
def test_one_value_of_the_page_is_far_too_high(
    api: httpx.Client, kind: str, key: str, times: float
) -> None:
    good, bad = spoilt(api, kind)
    pairs = zip(good["results"], bad["results"], strict=True)
    [(before, after)] = [(before, after) for before, after in pairs if before != after]
    assert after == before | {key: pytest.approx(before[key] * times)}


def test_what_looks_honest_is_drawn_only_when_it_is_named(api: httpx.Client) -> None:
    assert not set(CREDIBLE) & set(KINDS)
    api.put("/simulator/faults", json={"rate": 0})
    assert api.get("/simulator/faults").json()["plan"]["kinds"] == list(KINDS)


def test_a_null_page_has_counts_and_an_empty_one_none(api: httpx.Client) -> None:
    good, null = spoilt(api, "null_page")
    assert null["results"] is None
    assert null["resultsCount"] == good["resultsCount"]
    _, empty = spoilt(api, "empty")
    assert "results" not in empty
    assert empty["resultsCount"] == 0


def test_a_wrong_ticker_is_echoed(api: httpx.Client) -> None:
    good, bad = spoilt(api, "wrong_ticker")
    assert (good["ticker"], bad["ticker"]) == ("AAPL", "WRONG")


def test_a_link_is_lost_or_loops(api: httpx.Client) -> None:
    good, bad = spoilt(api, "lost_next_url", limit=1000)
    assert "next_url" in good
    assert "next_url" not in bad
    assert bad["results"] == good["results"]
    _, loop = spoilt(api, "next_url_loop", limit=1000)
    switch(api, "next_url_loop")
    again = api.get(loop["next_url"]).json()
    assert again["next_url"] == loop["next_url"]
    assert again["results"] == loop["results"]


def test_the_other_price_basis_is_served_and_says_so(api: httpx.Client) -> None:
    good, bad = spoilt(api, "unadjusted_flag")
    assert (good["adjusted"], bad["adjusted"]) == (False, True)


@pytest.mark.parametrize("kind", [*BAR_PAGE, *CREDIBLE[:-1]])
def test_bar_faults_reach_tradier_too(api: httpx.Client, kind: str) -> None:
    good = api.get(SALES, params=WINDOW).json()
    switch(api, kind, times=1)
    assert api.get(SALES, params=WINDOW).text != json.dumps(good)
    log = api.get("/simulator/requests").json()
    assert [entry["fault"] for entry in log] == [None, kind]


def test_kinds_that_a_reply_cannot_show_are_not_drawn(api: httpx.Client) -> None:
    switch(api, *BAR_PAGE, *POLYGON_PAGE)
    assert api.get("/v3/reference/tickers/AAPL").status_code == 200
    switch(api, *POLYGON_PAGE, "seconds_stamps")
    assert api.get(SALES, params=WINDOW).status_code == 200
    switch(api, "500", provider="tradier")
    assert get(api).status_code == 200
    assert api.get("/simulator/faults").json()["spoilt"] == 0


def test_refusals_are_never_spoilt(api: httpx.Client) -> None:
    switch(api, "html200")
    reply = api.get("/v3/reference/tickers/ZZTOP")
    assert (reply.status_code, reply.json()["status"]) == (404, "NOT_FOUND")


def test_rate_times_and_seed_decide_what_is_spoilt(start: Start) -> None:
    met = []
    for _ in range(2):
        api = start()
        switch(api, "500", "429", rate=0.5, seed=9, times=4)
        met.append([get(api).status_code for _ in range(20)])
        assert api.get("/simulator/faults").json()["spoilt"] == 4
    assert met[0] == met[1]
    assert met[0].count(200) == 16


def test_faults_are_read_and_cleared(api: httpx.Client) -> None:
    assert api.get("/simulator/faults").json() == {"plan": None, "spoilt": 0}
    switch(api, "500", rate=1, times=2)
    plan = api.get("/simulator/faults").json()["plan"]
    assert (plan["kinds"], plan["rate"], plan["times"]) == (["500"], 1, 2)
    api.delete("/simulator/faults")
    assert get(api).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"kinds": ["sunshine"]}', "kinds"),
        ('{"kinds": []}', "kinds"),
        ('{"rate": 2}', "rate"),
        ('{"times": -1}', "times"),
        ('{"provider": "yahoo"}', "provider"),
        ('{"chance": 1}', "chance"),
        ("[]", "faults"),
        ("nonsense", "faults"),
    ],
)
def test_an_impossible_plan_is_refused_by_field(api: httpx.Client, body: str, field: str) -> None:
    reply = api.put("/simulator/faults", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(f"{field}: ")


def test_the_log_counts_requests_without_their_keys(api: httpx.Client) -> None:
    api.get(AGGS, params={"apiKey": "very-secret", "limit": 5000})
    api.get(SALES, params=WINDOW)
    log = api.get("/simulator/requests")
    assert "very-secret" not in log.text
    first, second = log.json()
    assert (first["provider"], first["path"], first["query"]) == ("polygon", AGGS, "limit=5000")
    assert (second["provider"], second["status"]) == ("tradier", 200)
    assert second["time"] >= first["time"]
    assert api.delete("/simulator/requests").json() == []


def test_every_kind_is_documented() -> None:
    from swiftbolt_assets.simulator import faults

    assert all(f"``{kind}``" in (faults.__doc__ or "") for kind in ALL_KINDS)
