"""The list of tickers: pulled a page at a time, replaced as a whole, wanted by nobody."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.bars.overview import symbol_overviews
from resources.bars.splits import SplitBook
from resources.bars.symbols import ensure_symbols, partition_tickers
from resources.providers.polygon.tickers import parse_tickers, tickers_request
from resources.providers.replies import Reply
from swiftbolt_assets.errors import MalformedReplyError, ProviderError, UnavailableError

BASE = "https://api.massive.com"
TODAY = date(2026, 11, 20)
LISTED = "select count(*) from listed_tickers"


def reply(**content: object) -> Reply:
    body = json.dumps({"status": "OK", "request_id": "r", **content}).encode()
    return Reply(200, {}, body, datetime.now(UTC))


def link(cursor: str = "abc", host: str = BASE) -> str:
    return f"{host}/v3/reference/tickers?cursor={cursor}"


def test_twelve_thousand_names_are_no_partition_no_definition_and_no_line(registry: Any) -> None:
    registry.sql("delete from job_definitions")
    registry.sql("delete from symbols")
    ensure_symbols(registry.database, ["AAPL", "MSFT", "BCpC"])
    definitions = registry.one("select count(*) from job_definitions")
    assert registry.whole() == 13
    assert registry.one(LISTED) > 12_000
    tracked = ["AAPL", "BCpC", "MSFT"]
    assert sorted(partition_tickers(registry.database)) == tracked
    assert sorted(one.symbol for one in symbol_overviews(registry.database, None)) == tracked
    assert registry.one("select count(*) from job_definitions") == definitions
    assert registry.one("select plan_job_runs()") == 0
    assert [one.symbol for one in SplitBook(registry.database).due(TODAY)] == [None]
    # Tracked before there was a list, they are named by it.
    assert registry.sql('select ticker, description from symbols order by ticker collate "C"') == [
        ("AAPL", "Apple Inc."),
        ("BCpC", "Brunswick Corp 6.375% Notes"),
        ("MSFT", "Microsoft Corp"),
    ]


def test_a_symbol_that_is_tracked_later_has_the_name_and_the_id_of_the_list(registry: Any) -> None:
    registry.whole()
    offered = registry.one("select symbol_id('TSLA')")
    registry.sql("delete from symbols where ticker in ('TSLA', 'ZZUNKNOWN')")
    ids = ensure_symbols(registry.database, ["TSLA", "ZZUNKNOWN"])
    assert ids["TSLA"] == offered
    assert ids["TSLA"].version == 8
    names = "select description from symbols where ticker = %s"
    assert registry.one(names, "TSLA") == "Tesla, Inc."
    assert registry.one(names, "ZZUNKNOWN") is None


def test_a_pull_that_is_killed_goes_on_with_the_next_page(registry: Any) -> None:
    assert registry.page().is_whole is False
    assert registry.page().is_whole is False
    place = registry.one("select cursor from ticker_list")
    # Another process knows nothing but the database.
    assert registry.book.due(TODAY).cursor == place
    assert registry.whole() == 11
    assert registry.one("select count(*) from provider_requests") == 13
    assert registry.one("select count(*) from arriving_tickers") == 0


def test_the_list_is_good_for_a_month_of_the_markets_clock(registry: Any) -> None:
    registry.whole()
    assert registry.page() is None
    registry.today = TODAY + timedelta(days=29)
    assert registry.book.due(registry.today) is None
    registry.today = TODAY + timedelta(days=30)
    assert registry.book.due(registry.today).cursor is None
    # A clock that was moved back is no reason to keep a list of the future.
    assert registry.book.due(TODAY - timedelta(days=1)) is not None


def test_a_list_that_breaks_off_half_way_empties_nothing(registry: Any) -> None:
    registry.whole()
    listed = registry.one(LISTED)
    registry.today = TODAY + timedelta(days=31)
    registry.page()
    registry.spoil(kinds=["502"])
    with pytest.raises(UnavailableError):
        registry.page()
    assert registry.one(LISTED) == listed
    assert registry.one("select error from ticker_list").startswith("polygon: HTTP 502")
    assert registry.page() is None
    state = registry.book.state()
    assert (state.tickers, state.arrived, state.failures) == (listed, 1000, 1)
    registry.spoil()
    registry.sql("update ticker_list set retry_at = null")
    assert registry.whole() == 12
    assert registry.one(LISTED) == listed


@pytest.mark.parametrize("results", [[], [{"ticker": "AAPL", "name": "Apple Inc."}]])
def test_a_list_that_has_shrunk_to_next_to_nothing_is_none(
    registry: Any, results: list[object]
) -> None:
    registry.whole()
    listed = registry.one(LISTED)
    page = parse_tickers(reply(results=results), BASE)
    with pytest.raises(MalformedReplyError, match=r"the list has \d tickers, 12\d+ are known"):
        registry.book.store(None, page, TODAY)
    assert registry.one(LISTED) == listed


def test_pages_that_do_not_end_are_no_list(registry: Any) -> None:
    rows = [{"ticker": "AAPL", "name": "Apple Inc."}]
    page = parse_tickers(reply(results=rows, next_url=link("one")), BASE)
    assert registry.book.store(None, page, TODAY).tickers == 1
    for cursor in ("one", "two"):
        with pytest.raises(MalformedReplyError, match="do not end"):
            registry.book.store(
                "one", parse_tickers(reply(results=rows, next_url=link(cursor)), BASE), TODAY
            )
    # What is at fault is not gone on with.
    registry.book.failed(MalformedReplyError("the pages do not end"))
    assert registry.one("select cursor from ticker_list") is None


def test_a_name_that_somebody_has_given_stays_and_one_of_the_list_follows_it(registry: Any) -> None:
    registry.sql("update symbols set description = 'mine' where ticker = 'MSFT'")
    registry.whole()
    registry.sql("update listed_tickers set name = 'Apple Computer' where ticker = 'AAPL'")
    registry.sql("update symbols set description = 'Apple Computer' where ticker = 'AAPL'")
    registry.today += timedelta(days=31)
    registry.whole()
    found = dict(registry.sql("select ticker, description from symbols"))
    assert (found["AAPL"], found["MSFT"]) == ("Apple Inc.", "mine")


def test_bars_go_first_and_after_a_day_the_platforms_own_ideas_wait(registry: Any) -> None:
    registry.sql(
        "insert into job_runs (symbol, timeframe, job_type, slice_from, slice_to, status, priority)"
        " values ('AAPL', 'm15', 'fetch_intraday', '2026-11-02', '2026-11-03', 'queued', 50)"
    )
    assert registry.book.due(TODAY) is None
    registry.sql("update ticker_list set created_at = clock_timestamp() - interval '25 hours'")
    assert registry.book.due(TODAY).is_patient is False
    registry.sql("update job_runs set priority = 100")
    assert registry.book.due(TODAY) is None
    registry.sql("update job_runs set next_attempt_at = clock_timestamp() + interval '4 hours'")
    assert registry.book.due(TODAY) is not None, "what waits for its hour takes no slot"
    registry.sql("update job_runs set status = 'running'")
    assert registry.book.due(TODAY) is None
    registry.sql("delete from job_runs")
    assert registry.book.due(TODAY) is not None


def test_the_first_minutes_of_an_installation_belong_to_the_first_chart(registry: Any) -> None:
    registry.sql("update ticker_list set created_at = clock_timestamp()")
    assert registry.book.due(TODAY) is None


def test_only_the_cursor_of_a_link_is_kept_and_never_a_key(registry: Any) -> None:
    registry.page()
    kept = registry.sql("select t::text from ticker_list t")[0][0]
    assert "http" not in kept
    assert registry.transport.key.reveal() not in kept
    cursor = registry.one("select cursor from ticker_list")
    assert b"apiKey" not in base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    keyed = f"{link('abc')}&apiKey=sekret"
    assert parse_tickers(reply(results=[], next_url=keyed), BASE).cursor == "abc"


@pytest.mark.parametrize(
    "next_url",
    [
        link(host="https://elsewhere.example"),
        f"{BASE}/v3/reference/splits?cursor=abc",
        f"{BASE}/v3/reference/tickers",
        f"{BASE}/v3/reference/tickers?cursor=a&cursor=b",
        link("a" * 4001),
        17,
    ],
)
def test_a_link_that_leads_elsewhere_is_not_followed(next_url: object) -> None:
    with pytest.raises(MalformedReplyError):
        parse_tickers(reply(results=[], next_url=next_url), BASE)


def test_both_names_of_the_provider_are_one_host() -> None:
    page = parse_tickers(reply(results=[], next_url=link(host="https://api.polygon.io")), BASE)
    assert tickers_request(page.cursor).params == (("cursor", "abc"), ("limit", "1000"))


def test_what_is_no_share_that_trades_is_left_out() -> None:
    rows: list[object] = [
        {
            "ticker": "BACpL",
            "name": "Bank of\nAmerica\u0000  Corp",
            "market": "stocks",
            "active": True,
        },
        {"ticker": "ABC.WS.A"},
        {"ticker": "OLD", "name": "Gone", "active": False},
        {"ticker": "OTCX", "name": "Over the Counter", "market": "otc"},
        *({"ticker": one} for one in ("X:BTCUSD", "C:EURUSD", "I:SPX", "aapl", "", "A B", None, 7)),
        "AAPL",
        None,
    ]
    page = parse_tickers(reply(results=rows), BASE)
    assert page.names == {"BACpL": "Bank of America Corp", "ABC.WS.A": ""}
    assert page.refused == len(rows) - 2


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["results", "ticker", "name", "status", "next_url", "active", "market"]
                ),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_whatever_comes_is_a_page_or_one_error(content: object) -> None:
    fuzzed = Reply(200, {}, json.dumps(content).encode(), datetime.now(UTC))
    try:
        page = parse_tickers(fuzzed, BASE)
    except ProviderError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    assert all(ticker.isascii() and name.isprintable() for ticker, name in page.names.items())


ADDING = (
    "select admit_symbols(array[%s])",
    """insert into job_definitions (job_type, symbol, timeframe)
       values ('fetch_intraday', %s, 'm15') on conflict do nothing""",
)


def test_many_that_add_the_same_ticker_at_once_do_not_stumble_over_its_id(registry: Any) -> None:
    people, tickers = 8, [f"R{number}" for number in range(150)]
    together = threading.Barrier(people, timeout=10)

    def add(number: int) -> None:
        with registry.database.connect(autocommit=True) as connection:
            for ticker in tickers:
                together.wait()
                connection.execute(ADDING[number % 2], (ticker,))

    with ThreadPoolExecutor(people) as pool:
        list(pool.map(add, range(people)))
    assert registry.one("select count(*) from symbols where ticker = any(%s)", tickers) == len(
        tickers
    )
