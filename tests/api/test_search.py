"""`symbols-search` over the symbols that are known and 12,000 that are only listed."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import statistics
import time
from typing import Any
from uuid import UUID

import pytest

from swiftbolt_assets.simulator.directory import directory

LISTED = {
    "AAPL": "Apple Inc.",
    "APLE": "Apple Hospitality REIT, Inc.",
    "AP": "Ampco-Pittsburgh Corporation",
    "APPF": "AppFolio, Inc.",
    "PAPL": "Pineapple Financial Inc.",
    "T": "AT&T Inc.",
    "KO": "Coca-Cola Co",
    "BRK.B": "Berkshire Hathaway Inc. Class B",
}
#: All that is listed.
NAMES = dict(directory()) | LISTED


@pytest.fixture(autouse=True)
def _listed(api: Any) -> None:
    """Let the list be whole, and let nobody have asked for a symbol."""
    if api.sql("select count(*) from listed_tickers") != [(len(NAMES),)]:
        fill_list(api)


def fill_list(api: Any) -> None:
    api.sql("delete from listed_tickers")
    api.sql(
        "insert into listed_tickers select * from unnest(%s::text[], %s::text[])",
        list(NAMES),
        list(NAMES.values()),
    )
    api.sql("analyze listed_tickers")


def search(api: Any, text: str) -> list[dict[str, Any]]:
    reply = api.get("symbols-search", params={"q": text})
    assert reply.status == 200
    found: list[dict[str, Any]] = reply.json
    assert all(type(row["description"]) is str and UUID(row["id"]) for row in found)
    assert len(found) <= 20
    return found


def tickers(api: Any, text: str) -> list[str]:
    return [row["ticker"] for row in search(api, text)]


def test_a_name_is_found_by_its_first_letters_whatever_their_case(api: Any) -> None:
    for text in ("apple", "Apple", "APPLE", "apple inc"):
        first = search(api, text)[0]
        assert (first["ticker"], first["description"]) == ("AAPL", "Apple Inc."), text
    assert "AAPL" in tickers(api, "app")


def test_the_best_comes_first(api: Any) -> None:
    # The ticker itself, tickers that begin so, names that begin so.
    assert tickers(api, "ap")[0] == "AP"
    found = tickers(api, "app")
    assert found.index("APPF") < found.index("AAPL")
    assert tickers(api, "t")[0] == "T"
    # A word in a name, after names that begin with it; several words in any order.
    assert tickers(api, "hathaway") == ["BRK.B", "HATHAWAY"]
    assert tickers(api, "hath berk") == ["BRK.B"]
    assert tickers(api, "cola")[0] == "KO"
    assert tickers(api, "at&t") == ["T"]


def test_what_is_listed_has_the_id_that_it_keeps_when_somebody_asks_for_it(api: Any) -> None:
    (offered, *_) = search(api, "brk-b")
    assert (offered["ticker"], offered["known"]) == ("BRK.B", False)
    body = {"symbols": ["brk.b"], "source": "chart_view"}
    assert api.post("sync-user-symbols", body).status == 200
    (known, *_) = search(api, "BRK/B")
    assert known == offered | {"known": True}


def test_without_a_list_search_works_by_ticker(api: Any) -> None:
    api.sql("delete from listed_tickers")
    (offered,) = search(api, "apple")
    assert (offered["ticker"], offered["known"], offered["description"]) == ("APPLE", False, "")
    api.sql("insert into symbols (ticker) values ('APPLX')")
    assert [(row["ticker"], row["known"]) for row in search(api, "apple")] == [
        ("APPLX", True) if one == "APPLX" else ("APPLE", False) for one in tickers(api, "apple")
    ]
    assert tickers(api, "appl") == ["APPLX", "APPL"]


def test_a_typed_ticker_is_the_one_of_that_spelling(api: Any) -> None:
    assert tickers(api, "bcpc")[:2] == ["BCPC", "BCpC"]
    assert tickers(api, "BCPC")[:2] == ["BCPC", "BCpC"]
    assert tickers(api, "BCpC")[:2] == ["BCpC", "BCPC"]
    assert tickers(api, "bacpl")[0] == "BACpL"
    assert "ABC.WS.A" in tickers(api, "abc-ws-a")


@pytest.mark.parametrize(
    "text", ["%", "_", "\\", "'", "a'b", ":*", "& |", "!", "(", "\u0131bm", "\U0001f680", "' or '"]
)
def test_no_text_is_more_than_a_text(api: Any, text: str) -> None:
    assert len(search(api, text)) <= 20


def test_a_search_among_twelve_thousand_is_fast(api: Any) -> None:
    """Guards against a plan without its indexes; `make bench` measures what a person waits."""
    assert api.sql("select count(*) > 12000 from listed_tickers") == [(True,)]
    took: list[float] = []
    for text in ("a", "s", "ap", "gr", "app", "sil", "silver e", "brk.b", "BCpC", "solar") * 5:
        began = time.perf_counter()
        search(api, text)
        took.append(time.perf_counter() - began)
    assert statistics.median(took) < 0.1


def test_search_reads_indexes_as_a_person_too(api: Any) -> None:
    with api.connect() as connection:
        connection.execute("set role authenticated")
        plan = connection.execute(
            "explain select ticker from listed_tickers where upper(ticker) like 'AP%'"
        ).fetchall()
    assert "listed_tickers_ticker" in str(plan)


def test_what_somebody_has_asked_for_stands_before_what_is_only_listed(api: Any) -> None:
    api.post("sync-user-symbols", {"symbols": ["TSLA", "MSFT", "NVDA"], "source": "watchlist"})
    for text, ticker in (("t", "TSLA"), ("ts", "TSLA"), ("m", "MSFT"), ("n", "NVDA")):
        found = tickers(api, text)
        # The ticker itself stands first, whoever has asked for it.
        assert ticker in found[:2], text


@pytest.mark.parametrize("text", ["", " ", "+", "a" * 51, "app\0le", "app\nle", "\x7f", "\u202e"])
def test_what_no_name_is_like_finds_nothing_and_is_no_error(api: Any, text: str) -> None:
    assert search(api, text) == []
    assert api.call("GET", f"symbols-search?q={'+' if text == '+' else ''}").json == []


def test_what_has_just_been_listed_waits_in_no_list_that_each_search_reads(api: Any) -> None:
    fill_list(api)
    for index in ("listed_tickers_words", "symbols_words_search"):
        assert api.sql("select gin_clean_pending_list(%s::text::regclass)", index) == [(0,)]
