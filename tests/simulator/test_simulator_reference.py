"""Polygon's reference data over real HTTP, raw and through the official client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from massive import RESTClient
from massive.exceptions import BadResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from swiftbolt_assets.simulator.server import SimulatorThread

    Start = Callable[..., httpx.Client]


@pytest.fixture
def official(simulator: SimulatorThread) -> Iterator[RESTClient]:
    client = RESTClient("any", base=simulator.polygon_url)
    yield client
    client.client.clear()


def test_the_official_client_reads_bars_page_by_page(
    official: RESTClient, api: httpx.Client
) -> None:
    found = list(official.list_aggs("MIDL", 15, "minute", "2026-09-01", "2026-10-30", limit=5000))
    path = "/v2/aggs/ticker/MIDL/range/15/minute/2026-09-01/2026-10-30"
    rows = api.get(path, params={"limit": 50000}).json()["results"]
    assert [
        (bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found
    ] == [(row["t"], row["o"], row["h"], row["l"], row["c"], row["v"]) for row in rows]
    assert [(bar.vwap, bar.transactions) for bar in found] == [
        (row.get("vw"), row.get("n")) for row in rows
    ]


def test_the_official_client_reads_an_empty_range_as_no_bars(official: RESTClient) -> None:
    assert list(official.list_aggs("ZZTOP", 15, "minute", "2026-09-01", "2026-09-02")) == []


def test_the_official_client_reads_the_previous_close(official: RESTClient) -> None:
    found = official.get_previous_close_agg("AAPL")
    assert found[0].ticker == "AAPL"
    assert found[0].close > 0


def test_the_official_client_reads_tickers_and_their_absence(official: RESTClient) -> None:
    assert official.get_ticker_details("NEWCO").list_date == "2025-06-16"
    assert official.get_ticker_details("BRK.B").name.startswith("Berkshire")
    with pytest.raises(BadResponse, match="Ticker not found"):
        official.get_ticker_details("ZZTOP")
    listed = [one.ticker for one in official.list_tickers(limit=1000)]
    assert listed == sorted(listed)
    # One of them stands there twice, as Massive's list has been seen to do.
    assert len(set(listed)) == len(listed) - 1
    assert len(listed) > 12_000
    assert {"AAPL", "THIN", "BCPC", "BCpC", "BACpL", "ABC.WS.A"} <= set(listed)
    assert [one.ticker for one in official.list_tickers(search="berk")] == ["BRK.B"]
    assert [one.ticker for one in official.list_tickers(ticker="ORDINARY")] == ["ORDINARY"]


def test_the_official_client_reads_splits_in_both_forms(official: RESTClient) -> None:
    old = [(one.ticker, one.split_from, one.split_to) for one in official.list_splits(limit=1)]
    assert old == [("REVS", 5, 1), ("SPLT", 1, 10)]
    new = list(official.list_stocks_splits(ticker="SPLT"))
    assert [(one.execution_date, one.adjustment_type) for one in new] == [
        ("2025-09-08", "forward_split")
    ]
    assert new[0].historical_adjustment_factor == pytest.approx(0.1)


def test_the_official_client_reads_the_market_status(official: RESTClient) -> None:
    assert official.get_market_status().market == "extended-hours"
    holidays = official.get_market_holidays()
    assert [(day.date, day.exchange, day.status) for day in holidays[:4]] == [
        ("2026-11-26", "NYSE", "closed"),
        ("2026-11-26", "NASDAQ", "closed"),
        ("2026-11-26", "OTC", "closed"),
        ("2026-11-27", "NYSE", "early-close"),
    ]
    assert holidays[3].close == "2026-11-27T18:00:00.000Z"


@pytest.mark.parametrize(
    ("params", "tickers"),
    [
        ({"ticker": "SPLT"}, ["SPLT"]),
        ({"ticker": "AAPL"}, []),
        ({"execution_date.gte": "2026-01-01"}, ["REVS"]),
        ({"execution_date.lt": "2026-01-01"}, ["SPLT"]),
        ({"execution_date": "2025-09-08"}, ["SPLT"]),
        ({"order": "asc"}, ["SPLT", "REVS"]),
    ],
)
def test_splits_are_chosen_by_ticker_and_date(
    api: httpx.Client, params: dict[str, str], tickers: list[str]
) -> None:
    rows = api.get("/v3/reference/splits", params=params).json()["results"]
    assert [row["ticker"] for row in rows] == tickers


def test_a_split_is_announced_ten_days_before_it_is_executed(start: Start) -> None:
    for day, count in ((28, 0), (30, 1)):
        now = datetime(2025, 8, day, 12, tzinfo=UTC)
        rows = start(now=lambda now=now: now).get("/v3/reference/splits").json()["results"]
        assert len(rows) == count


def test_a_symbol_is_unknown_before_its_listing(start: Start) -> None:
    now = datetime(2025, 6, 13, 12, tzinfo=UTC)
    assert start(now=lambda: now).get("/v3/reference/tickers/NEWCO").status_code == 404


def test_the_market_is_open_in_its_hours_only(start: Start) -> None:
    for hour, market in ((8, "closed"), (10, "extended-hours"), (15, "open")):
        now = datetime(2026, 11, 20, hour, tzinfo=UTC)
        status = start(now=lambda now=now: now).get("/v1/marketstatus/now").json()
        assert status["market"] == market


NEWER = "/stocks/v1/splits"


def listed(api: httpx.Client, symbol: str) -> list[tuple[str, str]]:
    reply = api.get(NEWER, params={"ticker": symbol, "sort": "execution_date.asc"}).json()
    assert reply["request_id"] == 1
    return [(row["execution_date"], row["id"]) for row in reply["results"]]


@pytest.mark.parametrize(
    ("kinds", "days"),
    [
        ([], ["2025-09-08"]),
        (["twice"], ["2025-09-05", "2025-09-08"]),
        (["early"], ["2025-09-05"]),
        (["late"], ["2025-09-09"]),
        (["weekend"], ["2025-09-06"]),
        (["never"], ["2025-09-08", "2026-11-06"]),
        (["missing"], []),
        (["missing", "never"], ["2026-11-06"]),
    ],
)
def test_splits_are_listed_wrongly_when_told_to(
    api: httpx.Client, kinds: list[str], days: list[str]
) -> None:
    assert api.put("/simulator/listings", json={"SPLT": kinds}).json() == {"SPLT": kinds}
    found = listed(api, "SPLT")
    assert [day for day, _ in found] == days
    assert len({number for _, number in found}) == len(found)
    assert listed(api, "SPLT") == found
    # The older list errs alike; prices do not.
    older = api.get("/v3/reference/splits", params={"ticker": "SPLT", "order": "asc"}).json()
    assert [(row["execution_date"], row["id"]) for row in older["results"]] == found


def test_ids_change_at_each_pull_when_told_to(api: httpx.Client) -> None:
    api.put("/simulator/listings", json={"SPLT": ["new_ids"]})
    one, other = listed(api, "SPLT"), listed(api, "SPLT")
    assert [day for day, _ in one] == [day for day, _ in other]
    assert one != other
    assert api.put("/simulator/listings", json={}).json() == {}
    assert listed(api, "SPLT") == listed(api, "SPLT")


@pytest.mark.parametrize("body", [[], {"SPLT": "late"}, {"SPLT": ["tomorrow"]}])
def test_an_unknown_listing_error_is_refused(api: httpx.Client, body: object) -> None:
    reply = api.put("/simulator/listings", json=body)
    assert reply.status_code == 400
    assert "error" in reply.json()
