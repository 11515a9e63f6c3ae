"""Migrating: from nothing, again, at once, back, and on what other servers bring along."""
# ruff: noqa: N802 - a test's name carries the feature row's id

from __future__ import annotations

import threading
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from resources import schema
from resources.postgres import Database
from resources.schema import claim_data_source, downgrade, migrate, newest_revision, revision
from swiftbolt_assets.errors import ConfigurationError, StorageError
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    import subprocess

FIRST_DATE = date(2025, 6, 2)


class Actors(Protocol):
    """Other processes, of `conftest.py`."""

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[str]: ...
    def release(self, actor: subprocess.Popen[str]) -> None: ...
    def last_words(self, actor: subprocess.Popen[str]) -> str: ...


@pytest.fixture
def empty(empty_url: str) -> Database:
    return Database(empty_url, timedelta(0))


def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.connect() as sql:
        return sql.execute(statement).fetchall()


def objects(database: Database) -> list[tuple[Any, ...]]:
    """Return every table, index, function and type of the schema by name."""
    return rows(
        database,
        "select 'relation', relname::text, relkind::text from pg_class"
        " where relnamespace = 'public'::regnamespace"
        " union all select 'function', proname::text, '' from pg_proc"
        " where pronamespace = 'public'::regnamespace"
        " union all select 'type', typname::text, '' from pg_type"
        " where typnamespace = 'public'::regnamespace and typtype = 'e' order by 1, 2",
    )


def test_A30_B4_an_empty_database_becomes_the_newest_and_a_second_time_changes_nothing(
    empty: Database,
) -> None:
    assert revision(empty) is None
    first = migrate(empty, FIRST_DATE)
    assert (first.before, first.after) == (None, newest_revision())
    assert first.partitions_added >= 18 + 13
    assert revision(empty) == newest_revision()
    made = objects(empty)
    again = migrate(empty, FIRST_DATE)
    assert (again.before, again.after) == (newest_revision(), newest_revision())
    assert again.partitions_added == 0
    assert objects(empty) == made


def test_the_files_names_tell_the_revisions_and_the_newest() -> None:
    config = Config()
    config.set_main_option("script_location", "swiftbolt_assets:migrations")
    script = ScriptDirectory.from_config(config)
    assert schema.revisions() == {found.revision for found in script.walk_revisions()}
    assert newest_revision() == script.get_current_head()


def test_sessions_in_sql_equal_the_calendar_and_are_repaired(empty: Database) -> None:
    migrate(empty, FIRST_DATE)
    with empty.connect() as sql:
        sql.execute("delete from market_sessions where day < '2020-01-01'")
        sql.execute("update market_sessions set closes = closes - interval '1 hour'")
        sql.execute("insert into market_sessions values ('2025-01-09', '2025-01-09', '2025-01-10')")
    migrate(empty, FIRST_DATE)
    stored = rows(empty, "select day, opens, closes from market_sessions order by day")
    assert stored == [(s.day, s.opens, s.closes) for s in xnys().sessions]


def test_an_earlier_first_date_adds_the_months_before(empty: Database) -> None:
    migrate(empty, FIRST_DATE)
    assert migrate(empty, date(2025, 1, 2)).partitions_added == 5


def test_down_to_nothing_leaves_nothing_and_up_again_works(empty: Database) -> None:
    migrate(empty, FIRST_DATE)
    made = objects(empty)
    downgrade(empty, "base")
    assert [name for _, name, _ in objects(empty)] == ["alembic_version", "alembic_version_pkc"]
    migrate(empty, FIRST_DATE)
    assert objects(empty) == made


#: What a user has by the first release: bars, their ledger, interest, work that is done and open.
USED = """
insert into symbols (id, ticker) values ('00000000-0000-4000-8000-000000000001', 'AAPL')
on conflict (ticker) do nothing;
insert into auth.users (id) values ('6f1e2c0a-0000-4000-8000-000000000001');
insert into user_symbol_tracking (user_id, symbol_id, source)
select '6f1e2c0a-0000-4000-8000-000000000001', id, 'watchlist' from symbols where ticker = 'AAPL';
select ensure_bar_partitions('2025-06-02', '2025-06-03');
insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, open, high, low, close, volume)
select id, 'm15', '2025-06-02 13:30+00', 'polygon', 1, 3, 1, 2, 10.5 from symbols
 where ticker = 'AAPL';
insert into session_coverage
  (symbol_id, day, state, expected, bars, answers, provider, settled_at)
select id, '2025-06-02', 'final', 26, 26, 1, 'polygon', '2025-06-03' from symbols
 where ticker = 'AAPL';
insert into job_runs (symbol, timeframe, job_type, slice_from, slice_to, status) values
  ('AAPL', 'm15', 'fetch_intraday', '2025-06-02', '2025-06-03', 'success'),
  ('AAPL', 'm15', 'fetch_intraday', '2025-06-03', '2025-06-04', 'queued');
insert into provider_requests
  (provider, endpoint, symbol, sent_at, seconds, status, outcome, bars, base_minutes)
values ('polygon', 'aggs', 'AAPL', '2025-06-03', 0.2, 200, 'ok', 26, 390);
"""
_KEPT = """
select symbol_id::text, timeframe::text, ts, provider::text, close, volume from ohlc_bars_v2;
select symbol_id::text, day, state, bars, settled_at from session_coverage;
select source, user_id::text from user_symbol_tracking;
select timeframe::text, window_days, priority from job_definitions where symbol = 'AAPL' order by 1;
select slice_from, status from job_runs where symbol = 'AAPL' order by 1;
select sent_at, outcome from provider_requests
"""
KEPT = _KEPT.split(";")


def upgraded_to(database: Database, revision: str) -> None:
    """Make a database as a release left it, and used."""
    with database.connect() as sql:
        sql.execute("create schema if not exists auth")
    schema._run_alembic(database, "upgrade", revision)
    with database.connect() as sql:
        sql.execute(USED)


@pytest.mark.parametrize("release", sorted(schema.revisions()))
def test_every_released_schema_becomes_the_newest_with_what_was_in_it(
    empty: Database, database: Database, release: str
) -> None:
    upgraded_to(empty, release)
    before = [rows(empty, statement) for statement in KEPT]
    assert all(before)
    assert migrate(empty, FIRST_DATE).after == newest_revision()
    assert [rows(empty, statement) for statement in KEPT] == before
    months = "ohlc_bars_v2_"
    assert [one for one in objects(empty) if not one[1].startswith(months)] == [
        one for one in objects(database) if not one[1].startswith(months)
    ]
    assert rows(empty, "select final, unsettled, provisional, bars from session_totals") == [
        (1, 0, 0, 26)
    ]
    # What is wanted is planned, and what is covered is not.
    with empty.connect() as sql:
        sql.execute("update symbol_plans set stale = true")
        sql.execute("select plan_job_runs('AAPL', 0, 10)")
    asked = "select count(*) from job_runs where symbol = 'AAPL' and first_day <= '2025-06-02'"
    assert rows(empty, asked) == [(0,)]


@pytest.mark.parametrize("release", sorted(schema.revisions())[1:])
def test_each_step_can_be_taken_back_with_what_is_in_it(empty: Database, release: str) -> None:
    upgraded_to(empty, release)
    before = [rows(empty, statement) for statement in KEPT]
    downgrade(empty, "-1")
    releases = sorted(schema.revisions())
    assert revision(empty) == releases[releases.index(release) - 1]
    assert [rows(empty, statement) for statement in KEPT] == before
    migrate(empty, FIRST_DATE)
    assert [rows(empty, statement) for statement in KEPT] == before


#: Sessions of two seeded symbols as an earlier version stored them: 2 June with a high that cannot
#: be, 3 June with a volume that its hours hide, 4 June sound.
IMPOSSIBLE = """
delete from ohlc_bars_v2;
delete from session_coverage;
insert into ohlc_bars_v2
  (symbol_id, timeframe, ts, provider, open, high, low, close, volume, trade_count)
select s.id, b.timeframe::timeframe, b.ts::timestamptz, 'polygon', 1, b.high, 1, 2, b.volume, 5
  from symbols s cross join (values
    ('m15', '2025-06-02 14:30+00', 1e12, 10), ('m15', '2025-06-02 14:45+00', 3, 10),
    ('h1', '2025-06-02 13:30+00', 3, 10), ('h1', '2025-06-02 14:30+00', 1e12, 20),
    ('h4', '2025-06-02 13:30+00', 1e12, 30), ('h4', '2025-06-02 17:30+00', 3, 10),
    ('m15', '2025-06-03 19:45+00', 3, 2e11), ('h1', '2025-06-03 19:30+00', 3, 2e11),
    ('h4', '2025-06-03 17:30+00', 3, 2e11), ('m15', '2025-06-04 13:30+00', 3, 9e10)
  ) b (timeframe, ts, high, volume)
 where s.ticker = 'AAPL' or (s.ticker = 'MSFT' and b.ts like '2025-06-04%');
insert into session_coverage
  (symbol_id, day, state, expected, bars, answers, provider, settled_at)
select s.id, day::date, 'final', 26, 26, 1, 'polygon', now()
  from symbols s cross join generate_series('2025-06-02', '2025-06-04', interval '1 day') day
 where s.ticker in ('AAPL', 'MSFT');
insert into ohlc_bars_v2
  (symbol_id, timeframe, ts, provider, is_forecast, close, upper_band, lower_band)
select s.id, 'd1', b.ts::timestamptz, 'ml_forecast', true, 5, upper_band, 4
  from symbols s cross join (values
    ((market_today() + 1)::timestamp at time zone 'UTC' + interval '12 hours', 1e9),
    ((market_today() + 2)::timestamp at time zone 'UTC' + interval '12 hours', 6)
  ) b (ts, upper_band)
 where s.ticker = 'MSFT';
"""


def test_impossible_values_of_earlier_versions_are_rejected_and_asked_for_again(
    empty: Database,
) -> None:
    upgraded_to(empty, "0009")
    with empty.connect() as sql:
        sql.execute("select ensure_bar_partitions(market_now(), market_now() + interval '9 days')")
        sql.execute(IMPOSSIBLE)
    migrate(empty, FIRST_DATE)
    kept = rows(
        empty,
        "select s.ticker, b.timeframe::text, to_char(b.ts at time zone 'UTC', 'DD HH24:MI')"
        " from ohlc_bars_v2 b join symbols s on s.id = symbol_id where not is_forecast"
        " order by 1, b.ts, 2",
    )
    assert kept == [
        ("AAPL", "h1", "02 13:30"),
        ("AAPL", "m15", "02 14:45"),
        ("AAPL", "h4", "02 17:30"),
        ("AAPL", "m15", "04 13:30"),
        ("MSFT", "m15", "04 13:30"),
    ]
    assert rows(empty, "select upper_band from ohlc_bars_v2 where is_forecast") == [(6,)]
    said = rows(
        empty,
        "select s.ticker, rule, bar ->> 'timeframe', value from rejected_bars r"
        " join symbols s on s.id = symbol_id order by r.id",
    )
    price = "open=1, high=1000000000000, low=1, close=2, vwap="
    volume = "volume=200000000000, trade_count=5"
    assert said == [
        ("AAPL", "price_impossible", "h4", f"timeframe=h4, {price}"),
        ("AAPL", "price_impossible", "m15", f"timeframe=m15, {price}"),
        ("AAPL", "price_impossible", "h1", f"timeframe=h1, {price}"),
        ("AAPL", "volume_impossible", "h4", f"timeframe=h4, {volume}"),
        ("AAPL", "volume_impossible", "h1", f"timeframe=h1, {volume}"),
        ("AAPL", "volume_impossible", "m15", f"timeframe=m15, {volume}"),
        (
            *("MSFT", "price_impossible", "d1"),
            "timeframe=d1, open=, high=, low=, close=5, vwap=, bands=4 to 1000000000",
        ),
    ]
    ledger = "select s.ticker, day from session_coverage join symbols s on s.id = symbol_id"
    assert rows(empty, f"{ledger} order by 1, 2") == [
        ("AAPL", date(2025, 6, 4)),
        *(("MSFT", date(2025, 6, day)) for day in (2, 3, 4)),
    ]
    final = "select s.ticker, final from session_totals join symbols s on s.id = symbol_id"
    assert rows(empty, f"{final} order by 1") == [("AAPL", 1), ("MSFT", 3)]
    # Again and back: nothing is left to move.
    downgrade(empty, "0009")
    migrate(empty, FIRST_DATE)
    assert rows(empty, "select count(*) from rejected_bars") == [(7,)]


#: Silence by another provider's word, as starts of its larger bars; a doubt that a refusal ended;
#: and bars that nobody traded.
BELIEVED = """
delete from session_coverage;
delete from ohlc_bars_v2;
delete from rejected_bars;
insert into session_coverage
  (symbol_id, day, state, reason, expected, bars, answers, absences, provider, settled_at,
   unconfirmed, doubted_at, witness)
select s.id, v.day::date, 'final', v.reason, 26, v.bars, 1, v.absences::jsonb, 'polygon', now(),
  v.unconfirmed, case when v.unconfirmed > 0 then market_now() end, v.witness::jsonb
  from symbols s cross join (values
    ('2025-06-02', null, 24, '{"2025-06-02T18:30:00+00:00": "halted",
      "2025-06-02T18:45:00+00:00": "no_trade"}', 0, '[]'),
    ('2025-06-03', 'halted', 0, '{}', 0, '["2025-06-03T18:30:00+00:00"]'),
    ('2025-06-04', null, 25, '{"2025-06-04T18:30:00+00:00": "no_trade"}', 0, '[]'),
    ('2025-06-05', null, 25, '{"2025-06-05T18:30:00+00:00": "unconfirmed"}', 1, null),
    ('2025-06-06', null, 26, '{}', 0, null)
  ) v (day, reason, bars, absences, unconfirmed, witness)
 where s.ticker = 'AAPL';
insert into ohlc_bars_v2
  (symbol_id, timeframe, ts, provider, open, high, low, close, volume, trade_count)
select s.id, b.timeframe::timeframe, b.ts::timestamptz, 'polygon', 1, b.high, 1, 1,
  b.volume, b.volume
  from symbols s cross join (values
    ('m15', '2025-06-06 14:30+00', 2, 0), ('m15', '2025-06-06 14:45+00', 2, 9),
    ('m15', '2025-06-06 15:00+00', 1, 0), ('h1', '2025-06-06 14:30+00', 2, 9)
  ) b (timeframe, ts, high, volume)
 where s.ticker = 'AAPL';
"""


def test_what_earlier_versions_believed_on_too_little_is_asked_for_again(empty: Database) -> None:
    upgraded_to(empty, "0017")
    with empty.connect() as sql:
        sql.execute("select ensure_bar_partitions('2025-06-01', '2025-07-01')")
        sql.execute(BELIEVED)
    migrate(empty, FIRST_DATE)
    ledger = (
        "select extract(day from day)::int, reason, unconfirmed, ask_again_at is not null, witness"
        " from session_coverage order by 1"
    )
    assert rows(empty, ledger) == [
        (2, None, 1, True, None),
        (3, "unconfirmed", 26, True, None),
        (4, None, 0, False, None),
        (5, None, 1, True, None),
    ]
    left = "select timeframe::text, to_char(ts at time zone 'UTC', 'HH24:MI') from ohlc_bars_v2"
    assert rows(empty, f"{left} order by ts") == [("m15", "14:45"), ("m15", "15:00")]
    assert rows(empty, "select rule, count(*)::int from rejected_bars group by 1") == [
        ("without_trades", 2)
    ]
    with empty.connect() as sql:
        sql.execute(
            "update session_coverage set witness ="
            """ '{"2025-06-02T18:30:00+00:00": 120, "2025-06-02T18:45:00+00:00": 900}'"""
            " where day = '2025-06-02'"
        )
    downgrade(empty, "0017")
    assert rows(empty, "select witness from session_coverage where witness is not null") == [
        (["2025-06-02T18:45:00+00:00"],)
    ]


def test_what_supabase_brings_along_is_left_as_it_is(empty: Database) -> None:
    with empty.connect() as sql:
        sql.execute("create schema auth")
        sql.execute("create table auth.users (id uuid primary key, email text, aud text)")
        sql.execute(
            "create function auth.uid() returns uuid language sql stable"
            " as $$ select '00000000-0000-0000-0000-000000000001'::uuid $$"
        )
    migrate(empty, FIRST_DATE)
    assert rows(empty, "select auth.uid()::text") == [("00000000-0000-0000-0000-000000000001",)]
    columns = "select count(*) from information_schema.columns where table_schema = 'auth'"
    assert rows(empty, columns) == [(3,)]
    downgrade(empty, "base")
    assert rows(empty, columns) == [(3,)]


def test_the_callers_id_comes_from_the_claims_of_its_transaction(database: Database) -> None:
    user = "6f1e2c0a-0000-4000-8000-000000000001"
    with database.connect() as sql:
        assert sql.execute("select auth.uid()").fetchone() == (None,)
        sql.execute("select set_config('request.jwt.claims', %s, false)", (f'{{"sub": "{user}"}}',))
        sql.execute("set role authenticated")
        found = sql.execute("select auth.uid()::text").fetchone()
    assert found == (user,)


def test_a_server_that_is_too_old_is_refused_before_anything_is_made(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MINIMUM_VERSION", 990000)
    with pytest.raises(StorageError, match=r"^SWIFTBOLT_DATABASE_URL: the server is Postgres \d+;"):
        migrate(empty, FIRST_DATE)
    assert objects(empty) == []


def test_a_database_of_a_newer_version_is_refused_in_one_line(empty: Database) -> None:
    migrate(empty, FIRST_DATE)
    with empty.connect() as sql:
        sql.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(StorageError, match=r"^database: .*newer version, upgrade this one$"):
        migrate(empty, FIRST_DATE)


def test_a_migration_that_fails_leaves_nothing_half_made(empty: Database) -> None:
    with empty.connect() as sql:
        sql.execute("create table rejected_bars (mine text)")
    before = objects(empty)
    with pytest.raises(StorageError, match=r"^database: the migration was refused: [^\n]+$"):
        migrate(empty, FIRST_DATE)
    assert objects(empty) == before
    assert revision(empty) is None


def test_simulated_and_real_bars_are_never_mixed(database: Database) -> None:
    claim_data_source(database, simulated=True)
    claim_data_source(database, simulated=True)
    with pytest.raises(
        ConfigurationError, match=r"^SWIFTBOLT_DATABASE_URL: .*holds simulated bars"
    ):
        claim_data_source(database, simulated=False)


def test_of_two_that_claim_a_fresh_database_at_once_one_is_refused(database: Database) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def claim(*, simulated: bool) -> None:
        start.wait(30)
        try:
            claim_data_source(database, simulated=simulated)
            outcomes.append("claimed")
        except ConfigurationError:
            outcomes.append("refused")

    threads = [threading.Thread(target=claim, kwargs={"simulated": one}) for one in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["claimed", "refused"]


@pytest.mark.slow
def test_three_processes_may_migrate_a_fresh_database_at_once(
    empty: Database, storage_actors: Actors
) -> None:
    started = [storage_actors.begin("migrate", empty.url) for _ in range(3)]
    for actor in started:
        storage_actors.release(actor)
    assert {storage_actors.last_words(actor) for actor in started} == {newest_revision()}
    assert rows(empty, "select count(*) from alembic_version") == [(1,)]


def test_a_database_that_does_not_exist_is_one_line(empty_url: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(empty_url)["dbname"]
    missing = Database(empty_url.replace(f"/{name}?", "/no_such_database?"), timedelta(0))
    with pytest.raises(StorageError, match=r"^database: [^\n]*no_such_database[^\n]*$"):
        migrate(missing, FIRST_DATE)
