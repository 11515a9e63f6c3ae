"""One rule for what a typed ticker means, in Python and in SQL; two that differ in case are two."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.bars.ledger import Ledger
from resources.bars.live import LiveBook
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols, partition_tickers
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.polygon.bars import PolygonClient
from resources.providers.rate_limit import Unlimited
from resources.providers.tradier.bars import TradierClient
from resources.providers.tradier.quotes import TradierQuotes
from swiftbolt_assets.assets.partitions import BarKey, parse_keys
from swiftbolt_assets.errors import LeftAloneError, UsageError
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIR = ("BCPC", "BCpC")
#: Mostly what is nearly a ticker, so that both outcomes are frequent.
NEARLY = st.text(st.sampled_from("ABCpwrs.-/19 \t\u0131\u017f\u00e9\u212a"), max_size=14)


@pytest.fixture
def sql(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@given(text=NEARLY | st.text(max_size=30).filter(lambda one: "\0" not in one and one.isprintable()))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sql_and_python_read_a_typed_ticker_alike(
    sql: psycopg.Connection[tuple[Any, ...]], text: str
) -> None:
    try:
        symbol: str | None = parse_symbol(text)
    except UsageError:
        symbol = None
    try:
        row = sql.execute("select canonical_symbol(%s)", (text,)).fetchone()
    except psycopg.errors.InvalidParameterValue as error:
        assert "symbol: " in str(error)  # noqa: PT017 - either outcome is right
        row = (None,)
    assert row == (symbol,)
    fits = "select %s ~ '^[A-Z][A-Za-z0-9]{0,9}(\\.[A-Z][A-Za-z0-9]{0,3}){0,2}$'"
    if symbol is not None:
        assert sql.execute(fits.encode(), (symbol,)).fetchone() == (True,)


def test_no_function_of_the_database_folds_the_case_of_a_symbol(
    sql: psycopg.Connection[tuple[Any, ...]],
) -> None:
    folding = sql.execute(
        "select proname, (regexp_matches(prosrc, '(?:upper|lower)\\([^()]*', 'gi'))[1] from pg_proc"
        " where pronamespace = 'public'::regnamespace order by 1, 2"
    ).fetchall()
    # A timeframe's token, and the rule itself.
    assert folding == [
        ("canonical_symbol", 'lower(candidate collate "C"'),
        ("canonical_symbol", 'upper(candidate collate "C"'),
        ("parse_timeframe", "lower(btrim"),
    ]


@pytest.mark.parametrize("typed", ["BRK-B", "BRK/B", "brk.b", " BRK.B "])
def test_every_sql_function_finds_a_symbol_however_it_is_typed(registry: Any, typed: str) -> None:
    ensure_symbols(registry.database, ["BRK.B"])
    seeded = registry.one("select seed_intraday_backfill_job(%s, 'h1', 30, 7)", typed)
    assert registry.one("select symbol from job_definitions where id = %s", seeded) == "BRK.B"
    assert registry.one("select ensure_job(%s, 'h1', 5, 1)", typed) == seeded
    of_h1 = "select job_priority from get_symbol_timeframe_coverage(%s) where timeframe = 'h1'"
    assert registry.one(of_h1, typed) == 7
    assert registry.one("select count(*) from get_coverage_gaps(%s, 'h1', 30)", typed) == 1
    assert registry.one("select count(*) from get_coverage(%s, 'h1')", typed) == 1
    gaps = "select count(*) from get_session_gaps(%s, '2026-11-01', '2026-11-20')"
    assert registry.one(gaps, typed) == 15
    slice_ = "select job_slice_exists(%s, 'h1', slice_from, slice_to) from job_runs"
    assert registry.one(f"{slice_} where symbol = 'BRK.B' and timeframe = 'h1'", typed)


def test_two_symbols_that_differ_in_case_live_side_by_side(registry: Any) -> None:
    ids = ensure_symbols(registry.database, PAIR)
    assert len(set(ids.values())) == 2
    store, ledger = BarStore(registry.database), Ledger(registry.database)
    sessions = xnys().between(
        registry.today - timedelta(days=10), registry.today - timedelta(days=1)
    )
    now = registry.now
    for symbol, symbol_id in ids.items():
        target = Target(symbol, symbol_id, 200, (Timeframe.H1, Timeframe.H4))
        filler = Filler(PolygonClient(registry.transport), store, ledger, xnys())
        list(filler.fill(target, sessions, now=now))
    store.close()
    closes = "select array_agg(close order by ts) from ohlc_bars_v2 where symbol_id = %s"
    assert registry.one(closes, ids["BCPC"]) != registry.one(closes, ids["BCpC"])
    assert set(PAIR) <= set(partition_tickers(registry.database))
    keys = [BarKey(sessions[0].day, symbol) for symbol in PAIR]
    assert parse_keys(map(str, keys)) == keys
    for source, symbol in (("watchlist", "BCpC"), ("chart_view", "BCPC")):
        registry.sql(
            "insert into user_symbol_tracking (user_id, symbol_id, source)"
            " values ('00000000-0000-0000-0000-000000000000', %s, %s)",
            ids[symbol],
            source,
        )
    wanted = dict(registry.sql("select symbol, max(priority) from job_definitions group by 1"))
    assert (wanted["BCpC"], wanted["BCPC"]) == (300, 200)


def test_tradier_is_not_asked_about_what_it_cannot_spell(registry: Any) -> None:
    transport = Transport(
        registry.simulator.tradier_url,
        name="tradier",
        key=Secret("a-token", "TRADIER_TOKEN"),
        limiter=Unlimited(),
        record=Ledger(registry.database).record_request,
        bounds=Bounds(first_wait_s=0.001),
    )
    client, desk = TradierClient(transport), TradierQuotes(transport)
    with pytest.raises(LeftAloneError, match="not asked for BCpC: it knows no small letters"):
        client.fetch("BCpC", registry.today, registry.today, priority=1)
    assert desk.quotes(["BCpC"]) == []
    assert registry.one("select count(*) from provider_requests") == 0
    # Beside another one it is left out: Tradier would answer for BCPC.
    assert [quote.symbol for quote in desk.quotes(["BCpC", "AAPL"])] == ["AAPL"]
    transport.close()
    ids = ensure_symbols(registry.database, PAIR)
    for symbol in PAIR:
        registry.sql("select ensure_job(%s, 'm15', 30, 300)", symbol)
    book = LiveBook(registry.database)
    watched = [one.symbol for one in book.watched(least_priority=300)]
    assert "BCPC" in watched
    assert "BCpC" not in watched
    assert book.watched_count(least_priority=300) == len(watched)
    assert [one.symbol_id for one in book.of_symbols(PAIR)] == [ids["BCPC"]]
