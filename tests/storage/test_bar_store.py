"""Storing sessions: whole or not at all, and nothing rewritten that stands already."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID, uuid4

import polars as pl
import psycopg
import pytest

from resources.bars.session_write import Written
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols, find_symbol, partition_tickers
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.coverage import Reason, SessionCoverage, State
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import validate

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from resources.bars.session_write import SessionsWrite
    from resources.postgres.database import Database
    from swiftbolt_assets.market.sessions import Session


class Recipe(Protocol):
    """What `conftest.py` makes answers of."""

    def sessions(self, first: date, last: date) -> list[Session]: ...
    def m15(self, sessions: Sequence[Session], price: float = 100.0) -> pl.DataFrame: ...
    def write(
        self,
        symbol_id: UUID,
        sessions: Sequence[Session],
        m15: pl.DataFrame | None = None,
        **changes: object,
    ) -> SessionsWrite: ...


class Actors(Protocol):
    """Other processes, of `conftest.py`."""

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[str]: ...
    def release(self, actor: subprocess.Popen[str]) -> None: ...
    def last_words(self, actor: subprocess.Popen[str]) -> str: ...


FIRST, LAST = date(2025, 11, 17), date(2025, 11, 21)
FIVE_DAYS = 5 * (26 + 7 + 2)


def physical(database: Database) -> dict[tuple[str, datetime], tuple[str, ...]]:
    """Return where each row lies and which transaction wrote it."""
    with database.connect() as sql:
        return {
            (timeframe, ts): (str(table), str(place), str(writer))
            for timeframe, ts, table, place, writer in sql.execute(
                "select timeframe::text, ts, tableoid, ctid, xmin from ohlc_bars_v2"
            ).fetchall()
        }


def wal_bytes(database: Database) -> int:
    return int(value(database, "select pg_current_wal_insert_lsn() - '0/0'"))


def value(database: Database, statement: str, *parameters: object) -> Any:  # noqa: ANN401
    with database.connect() as sql:
        row = sql.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def test_what_was_written_is_read_back_to_the_bit(
    store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, LAST)
    write = recipe.write(aapl, sessions)
    assert store.write(write) == Written(FIVE_DAYS, 0, 0)
    for timeframe, bars in write.bars.items():
        assert store.read(aapl, timeframe, sessions[0].opens, sessions[-1].closes).equals(bars)


def test_odd_values_survive_the_way_to_the_table_and_back(
    store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, FIRST)
    starts = sessions[0].slot_starts()
    m15 = pl.DataFrame(
        [
            (starts[0], 0.1 + 0.2, 1e6 / 3, 1e-4, 5e-324 + 0.1, 9.9e10 + 0.5, None, 999_999_999),
            (starts[1], 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, None),
            (starts[25], 7.0, 7.0, 7.0, 7.0, 1e-9, 6.999, 0),
        ],
        schema=BAR_SCHEMA,
        orient="row",
    )
    store.write(recipe.write(aapl, sessions, m15, coverage=[]))
    assert store.read(aapl, Timeframe.M15, sessions[0].opens, sessions[0].closes).equals(m15)


def test_the_same_answer_again_rewrites_no_row_and_hardly_any_log(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    write = recipe.write(aapl, recipe.sessions(FIRST, LAST))
    before = wal_bytes(database)
    store.write(write)
    first = wal_bytes(database) - before
    stood = physical(database)
    before = wal_bytes(database)
    assert store.write(write) == Written(0, 0, FIVE_DAYS)
    again = wal_bytes(database) - before
    assert physical(database) == stood
    # The ledger's five rows say when they were checked; the bars' 175 rows are not written.
    assert again < first / 4


def test_a_revised_bar_changes_its_own_rows_and_no_other(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, LAST)
    m15 = recipe.m15(sessions)
    store.write(recipe.write(aapl, sessions, m15))
    stood = physical(database)
    revised = sessions[2].slot_starts()[17]
    at = pl.col("ts") == revised
    m15 = m15.with_columns(high=pl.when(at).then(pl.col("high") + 99).otherwise(pl.col("high")))
    assert store.write(recipe.write(aapl, sessions, m15)) == Written(0, 3, FIVE_DAYS - 3)
    after = physical(database)
    changed = {key for key in after if after[key] != stood[key]}
    opens = sessions[2].opens
    assert changed == {
        ("m15", revised),
        ("h1", opens + timedelta(hours=4)),
        ("h4", opens + timedelta(hours=4)),
    }


def test_new_rows_beside_old_ones_are_inserted_and_counted_apart(
    store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    store.write(recipe.write(aapl, recipe.sessions(date(2025, 11, 19), LAST)))
    found = store.write(recipe.write(aapl, recipe.sessions(FIRST, LAST)))
    assert found == Written(2 * 35, 3 * 35 - found.unchanged, found.unchanged)
    assert found.inserted + found.updated + found.unchanged == FIVE_DAYS


def test_a_null_that_becomes_a_value_is_a_change(
    store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, FIRST)
    m15 = recipe.m15(sessions)
    store.write(recipe.write(aapl, sessions, m15))
    first = pl.col("ts") == sessions[0].opens
    m15 = m15.with_columns(vwap=pl.when(first).then(100.2).otherwise(None))
    assert store.write(recipe.write(aapl, sessions, m15)).updated == 3


@pytest.mark.parametrize(
    "spoil",
    [
        pl.col("high").mul(0),
        pl.lit(float("nan")).alias("open"),
        pl.lit(-1.0).alias("volume"),
        (pl.col("ts") + timedelta(minutes=1)).alias("ts"),
        (pl.col("ts") + timedelta(days=4000)).alias("ts"),
    ],
    ids=str,
)
def test_one_bad_row_leaves_nothing_of_the_batch_the_ledger_included(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe, spoil: pl.Expr
) -> None:
    sessions = recipe.sessions(FIRST, LAST)
    m15 = recipe.m15(sessions)
    spoilt = pl.concat([m15[:-1], m15[-1:].with_columns(spoil)])
    good = recipe.write(aapl, sessions, m15)
    bad = type(good)(**{**vars(good), "bars": {**good.bars, Timeframe.M15: spoilt}})
    with pytest.raises(StorageError) as caught:
        store.write(bad)
    assert str(caught.value).startswith("database: ")
    assert "\n" not in str(caught.value)
    for table in ("ohlc_bars_v2", "session_coverage", "coverage_status"):
        assert value(database, f"select count(*) from {table}") == 0
    assert store.write(good) == Written(FIVE_DAYS, 0, 0)


def test_a_ledger_row_that_is_refused_takes_the_bars_with_it(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, FIRST)
    impossible = SessionCoverage(FIRST, State.FINAL, None, 26, 27, 1)
    with pytest.raises(StorageError):
        store.write(recipe.write(aapl, sessions, coverage=[impossible]))
    assert value(database, "select count(*) from ohlc_bars_v2") == 0


def test_a_symbol_that_is_not_known_is_refused(store: BarStore, recipe: Recipe) -> None:
    with pytest.raises(StorageError, match="not in table symbols"):
        store.write(recipe.write(uuid4(), recipe.sessions(FIRST, FIRST)))


def test_rejected_bars_are_kept_with_rule_value_and_bar(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, FIRST)
    ts = sessions[0].opens
    rows = [
        (ts, float("nan"), 2.0, 1.0, 1.0, 1.0, None, 3),
        (None, 1.0, 1.0, 1.0, 1.0, 1.0, None, 1),
    ]
    reply = pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")
    rejects = validate(reply, ts, sessions[0].closes).rejects
    store.write(recipe.write(aapl, sessions, rejects=rejects))
    with database.connect() as sql:
        found = sql.execute(
            "select provider::text, ts, rule, value, bar, request_id from rejected_bars order by id"
        ).fetchall()
    bar = {"high": 2.0, "low": 1.0, "close": 1.0, "volume": 1.0, "vwap": None, "trade_count": 3}
    first, second = found
    assert first[:4] == ("polygon", ts, "not_finite", "nan")
    assert {**first[4], "ts": None} == {"ts": None, "open": None, **bar}
    assert first[5] == "a-request"
    assert second[1:4] == (None, "ts_missing", "None")


def test_polygons_settled_session_replaces_tradiers_rows(
    at: Callable[[datetime], Database], store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(date(2025, 11, 19), date(2025, 11, 20))
    evening = at(datetime(2025, 11, 20, 22, 0, tzinfo=UTC))
    live = BarStore(evening)
    today = recipe.m15(sessions[1:], 50.0)
    live.write(recipe.write(aapl, sessions[1:], today, provider="tradier", coverage=[]))
    live.close()
    opens, closes = sessions[1].opens, sessions[1].closes
    assert store.read(aapl, Timeframe.M15, opens, closes).equals(today)
    settled = recipe.write(aapl, sessions)
    store.write(settled)
    assert store.read(aapl, Timeframe.M15, opens, closes, provider="tradier").is_empty()
    assert store.read(aapl, Timeframe.H4, opens, closes).height == 2


def test_polygons_bar_wins_over_tradiers_of_the_same_start(
    at: Callable[[datetime], Database], store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    session = recipe.sessions(date(2025, 11, 20), date(2025, 11, 20))
    live = BarStore(at(datetime(2025, 11, 20, 22, 0, tzinfo=UTC)))
    live.write(
        recipe.write(aapl, session, recipe.m15(session, 50.0), provider="tradier", coverage=[])
    )
    live.close()
    # Not settled: two quarter hours are still to be asked for again.
    half = recipe.m15(session)[:24]
    still_open = [SessionCoverage(session[0].day, State.OPEN, None, 26, 24, 1)]
    store.write(recipe.write(aapl, session, half, coverage=still_open))
    opens, closes = session[0].opens, session[0].closes
    closes_read = store.read(aapl, Timeframe.M15, opens, closes)["close"].to_list()
    assert closes_read[:24] == half["close"].to_list()
    assert closes_read[24:] == [50.25 + 24, 50.25 + 25]
    only = store.read(aapl, Timeframe.M15, opens, closes, provider="tradier")
    assert only.height == 26


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        (Reason.NO_TRADE, 0),
        (Reason.NOT_LISTED, 0),
        (Reason.PROVIDER_EMPTY, 26),
        (Reason.PLAN_CUT, 26),
        (Reason.REJECTED, 26),
    ],
)
def test_without_polygons_bars_tradiers_go_only_where_nothing_was_traded(
    at: Callable[[datetime], Database],
    store: BarStore,
    aapl: UUID,
    recipe: Recipe,
    reason: Reason,
    left: int,
) -> None:
    session = recipe.sessions(date(2025, 11, 20), date(2025, 11, 20))
    live = BarStore(at(datetime(2025, 11, 20, 22, 0, tzinfo=UTC)))
    live.write(recipe.write(aapl, session, provider="tradier", coverage=[]))
    live.close()
    settled = [SessionCoverage(session[0].day, State.FINAL, reason, 26, 0, 3)]
    store.write(recipe.write(aapl, session, empty_bars(), coverage=settled))
    found = store.read(aapl, Timeframe.M15, session[0].opens, session[0].closes)
    assert found.height == left


def test_months_without_a_partition_are_made_when_they_are_met(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    for first, last in (
        (date(2016, 1, 4), date(2016, 1, 5)),
        (date(2016, 3, 1), date(2016, 3, 2)),
        (date(2016, 1, 4), date(2016, 3, 2)),
    ):
        store.write(recipe.write(aapl, recipe.sessions(first, last)))
    made = "select count(*) from pg_class where relname ~ '^ohlc_bars_v2_2016_0[1-3]$'"
    assert value(database, made) == 3
    count = "select count(*) from ohlc_bars_v2 where timeframe = 'm15'"
    assert value(database, count) == 26 * len(recipe.sessions(date(2016, 1, 4), date(2016, 3, 2)))


def test_a_month_that_a_refused_write_made_is_made_again(
    store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(date(2017, 5, 1), date(2017, 5, 1))
    write = recipe.write(aapl, sessions)
    negative = write.bars[Timeframe.M15].with_columns(volume=pl.lit(-1.0))
    with pytest.raises(StorageError):
        store.write(type(write)(**{**vars(write), "bars": {Timeframe.M15: negative}}))
    assert store.write(write).inserted == 35


def test_bars_of_two_symbols_stay_apart(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    other = ensure_symbols(database, ["BRK.B"])["BRK.B"]
    sessions = recipe.sessions(FIRST, FIRST)
    store.write(recipe.write(aapl, sessions))
    assert store.read(other, Timeframe.M15, sessions[0].opens, sessions[0].closes).is_empty()
    store.write(recipe.write(other, sessions, recipe.m15(sessions, 7.0)))
    bars = store.read(aapl, Timeframe.M15, sessions[0].opens, sessions[0].closes)
    assert bars["open"][0] == 100.0


def test_a_terminated_connection_is_one_line_and_the_next_write_works(
    database: Database, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    write = recipe.write(aapl, recipe.sessions(FIRST, FIRST))
    store.write(write)
    with database.connect() as sql:
        ended = sql.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        ).fetchall()
    assert ended == [(True,)]
    with pytest.raises(StorageError) as caught:
        store.write(write)
    assert str(caught.value).startswith("database: ")
    assert "\n" not in str(caught.value)
    assert store.write(write) == Written(0, 0, 35)


@pytest.mark.slow
def test_a_fork_leaves_its_parents_connection_alone(
    storage_actors: Actors, database: Database, aapl: UUID
) -> None:
    """In a process of its own: a fork of this one would inherit polars' threads as dead locks."""
    actor = storage_actors.begin("fork", database.url, str(aapl))
    storage_actors.release(actor)
    parents, childs, after = storage_actors.last_words(actor).split()
    assert parents == after != childs
    assert value(database, "select count(*) from ohlc_bars_v2") == 10 * 35


def test_symbols_are_added_once_and_found_by_ticker(database: Database) -> None:
    first = ensure_symbols(database, ["MSFT", "AAPL", "BRK.B"])
    assert ensure_symbols(database, ["AAPL", "NVDA"])["AAPL"] == first["AAPL"]
    # MSFT and NVDA are wanted by nobody yet: background symbols become partitions with their bars.
    assert partition_tickers(database) == ["AAPL", "BRK.B"]
    assert find_symbol(database, "MSFT") == first["MSFT"]
    assert find_symbol(database, "msft") is None
    assert ensure_symbols(database, []) == {}


def test_a_database_that_does_not_answer_is_one_line_without_the_password() -> None:
    from resources.postgres.database import Database as Anywhere

    for url in (
        "postgresql://user:hidden-word@127.0.0.1:1/bars",
        "postgresql://user:hidden-word@no-such-host.invalid/bars",
        "postgresql:///bars?host=/no/such/folder&user=u&password=hidden-word",
    ):
        database = Anywhere(url, timedelta(0))
        for attempt in (database.connect, lambda one=database: BarStore(one).read(*_NOTHING)):
            with pytest.raises(StorageError) as caught:
                attempt()
            assert str(caught.value).startswith("database: ")
            assert "\n" not in str(caught.value)
            assert "hidden" not in f"{caught.value} {database!r}"


def test_a_refusal_at_commit_is_one_line_too(database: Database) -> None:
    with database.connect() as sql:
        sql.execute("create table parent (id int primary key)")
        sql.execute("create table child (id int references parent deferrable initially deferred)")
    try:
        with (
            pytest.raises(StorageError, match=r"^database: .*foreign key"),
            database.transaction() as sql,
        ):
            sql.execute("insert into child values (1)")
    finally:
        with database.connect() as sql:
            sql.execute("drop table child, parent")


def test_a_url_behind_a_socket_reaches_the_server(database_url: str) -> None:
    from resources.postgres.database import Database as Anywhere

    info = psycopg.conninfo.conninfo_to_dict(database_url)
    query = "&".join(f"{name}={info[name]}" for name in ("host", "port", "user"))
    url = f"postgresql:///{info['dbname']}?{query}"
    assert value(Anywhere(url, timedelta(0)), "select current_database()") == info["dbname"]


_NOTHING = (
    UUID(int=0),
    Timeframe.M15,
    datetime(2025, 11, 17, tzinfo=UTC),
    datetime(2025, 11, 18, tzinfo=UTC),
)
