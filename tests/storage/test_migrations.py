"""Migrating: from nothing, from every earlier schema, again, at once, on what others bring."""

from __future__ import annotations

import gzip
import threading
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from resources import schema
from resources.postgres.database import Database
from resources.schema import claim_data_source, migrate, newest_revision, revision
from swiftbolt_assets.errors import ConfigurationError, StorageError
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.migrations import plain_sql

if TYPE_CHECKING:
    import subprocess

FIRST_DATE = date(2025, 6, 2)
#: Databases as the code of each former schema made and used them, as `pg_dump` wrote them.
EARLIER = Path(__file__).parent / "earlier"
SCHEMAS = sorted(path.name.removesuffix(".sql.gz") for path in EARLIER.glob("schema_*.sql.gz"))


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


#: Every object of ours as the server itself spells it, month partitions aside.
_OBJECTS = """
with ours as (
  select c.oid, c.relname, c.relkind, n.nspname from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
   where (n.nspname = 'public' or (n.nspname = 'cron' and c.relname in ('job', 'job_run_details')))
     and not c.relispartition and c.relname !~ '^ohlc_bars_v2_2'
), functions as (
  select oid from pg_proc where pronamespace = 'public'::regnamespace
)
select 'relation', relname,
    concat_ws(' ', relkind, relpersistence, relrowsecurity, reloptions::text)
  from pg_class where oid in (select oid from ours)
union all select 'column', o.relname || '.' || a.attname, concat_ws(' ', a.attnum,
    format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
    pg_get_expr(d.adbin, d.adrelid))
  from ours o join pg_attribute a on a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = o.oid and d.adnum = a.attnum
  where o.relkind in ('r', 'p', 'v')
union all select 'constraint', o.relname || '.' || conname, pg_get_constraintdef(k.oid)
  from pg_constraint k join ours o on o.oid = k.conrelid
  -- Whether a column may be null is told with it; how the server names that is its own affair.
  where contype <> 'n'
union all select 'index', o.relname, pg_get_indexdef(o.oid) from ours o where relkind in ('i', 'I')
union all select 'trigger', o.relname || '.' || tgname,
    concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
  from pg_trigger t join ours o on o.oid = t.tgrelid where not tgisinternal
union all select 'view', relname, pg_get_viewdef(oid) from ours where relkind = 'v'
union all select 'function', oid::regprocedure::text, pg_get_functiondef(oid) from functions
union all select 'policy', tablename || '.' || policyname,
    concat_ws(' ', permissive, roles, cmd, qual, with_check) from pg_policies
  where schemaname = 'public'
union all select 'enum', t.typname, string_agg(e.enumlabel, ' ' order by e.enumsortorder)
  from pg_enum e join pg_type t on t.oid = e.enumtypid
  where t.typnamespace = 'public'::regnamespace group by 2
union all select 'right', o.relname,
    string_agg(concat_ws(' ', grantee::regrole, privilege_type), ','
    order by grantee::regrole::text, privilege_type)
  from ours o join pg_class c using (oid),
    aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char",
      c.relowner)))
  where c.relkind in ('r', 'p', 'v', 'S') group by 2
union all select 'right', oid::regprocedure::text, string_agg(
    concat_ws(' ', grantee::regrole, privilege_type), ',' order by grantee::regrole::text)
  from functions join pg_proc p using (oid),
    aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) group by 2
order by 1, 2, 3
"""


def objects(database: Database) -> list[tuple[Any, ...]]:
    """Return every object of the schema by kind, name and definition."""
    return rows(database, _OBJECTS)


def test_an_empty_database_becomes_the_newest_and_a_second_time_changes_nothing(
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
    chain = {found.revision for found in script.walk_revisions()}
    assert schema.revisions() - chain == plain_sql.earlier_revisions()
    assert script.get_base() == plain_sql.BASELINE
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


#: What was in all of them: bars, their ledger, interest, work that is done and open.
_KEPT = """
select symbol_id::text, timeframe::text, ts, provider::text, close, volume from ohlc_bars_v2;
select symbol_id::text, day, state, bars, settled_at from session_coverage;
select source, user_id::text from user_symbol_tracking;
select timeframe::text, window_days, priority from job_definitions where symbol = 'AAPL' order by 1;
select slice_from, status from job_runs where symbol = 'AAPL' order by 1;
select sent_at, outcome from provider_requests
"""
KEPT = _KEPT.split(";")


def load(database: Database, name: str) -> None:
    """Make a database as an earlier version left it, and used."""
    with database.connect() as sql, gzip.open(EARLIER / f"{name}.sql.gz", "rt") as text:
        sql.execute(text.read().encode())


def test_every_earlier_schema_that_is_known_was_kept() -> None:
    assert {name.removeprefix("schema_") for name in SCHEMAS} == plain_sql.earlier_revisions()


@pytest.mark.parametrize("earlier", SCHEMAS)
def test_every_earlier_schema_becomes_the_newest_with_what_was_in_it(
    empty: Database, database: Database, earlier: str
) -> None:
    load(empty, earlier)
    before = [rows(empty, statement) for statement in KEPT]
    assert all(before)
    done = migrate(empty, FIRST_DATE)
    assert (done.before, done.after) == (earlier.removeprefix("schema_"), newest_revision())
    assert [rows(empty, statement) for statement in KEPT] == before
    assert objects(empty) == objects(database)
    assert rows(empty, "select final, unsettled, provisional, bars from session_totals") == [
        (1, 0, 0, 26)
    ]
    # What is wanted is planned, and what is covered is not.
    with empty.connect() as sql:
        sql.execute("update symbol_plans set stale = true")
        sql.execute("select plan_job_runs('AAPL', 0, 10)")
    asked = "select count(*) from job_runs where symbol = 'AAPL' and first_day <= '2025-06-02'"
    assert rows(empty, asked) == [(0,)]


#: All that people have, and all that is to be done: nothing of it may be lost on the way.
_HELD = """
select b.* from ohlc_bars_v2 b order by symbol_id, timeframe, ts;
select symbol_id, day, state, reason, expected, bars, answers, provider, request_id, settled_at
  from session_coverage order by 1, 2;
select id, symbol, timeframe, slice_from, slice_to, status, attempt, claim_id, claimed_at,
  first_day, last_day, sessions, started_at from job_runs order by id;
select id, symbol, timeframe, window_days, enabled, pinned from job_definitions order by id;
select id, user_id, symbol_id, source, priority from user_symbol_tracking order by id;
select id, ticker from symbols order by id;
select id, provider, symbol, sent_at, outcome, bars from provider_requests order by id;
select name, value from installation where name not in ('functions', 'first_date') order by name
"""


@pytest.mark.parametrize("commit", ["cbb1bb7", "29f49c5"])
def test_an_installation_at_work_goes_on_where_it_was(
    empty: Database, database: Database, commit: str
) -> None:
    load(empty, commit)
    before = [rows(empty, statement) for statement in _HELD.split(";")]
    bars, sessions, runs = before[:3]
    assert (len(bars), len(sessions)) == (700, 20)
    assert {run[5] for run in runs} == {"queued", "running"}
    migrate(empty, date(2024, 11, 30))
    assert [rows(empty, statement) for statement in _HELD.split(";")] == before
    assert objects(empty) == objects(database)
    # Claims of a platform that is gone are given back, and then every slice is somebody's.
    with empty.connect() as sql:
        sql.execute(
            "select release_claims(array(select distinct claim_id from job_runs"
            " where claim_id is not null), 'the platform was replaced')"
        )
        claimed: set[str] = set()
        while found := sql.execute(
            "select symbol from claim_symbol(gen_random_uuid(), 0)"
        ).fetchall():
            claimed.update(symbol for (symbol,) in found)
    assert claimed == {"AAPL", "MSFT", "TSLA"}


def test_a_schema_before_the_first_that_is_brought_over_is_refused_in_one_line(
    empty: Database,
) -> None:
    load(empty, SCHEMAS[0])
    with empty.connect() as sql:
        sql.execute("update alembic_version set version_num = '0006'")
    before = objects(empty)
    with pytest.raises(
        StorageError, match=r"^SWIFTBOLT_DATABASE_URL: [^\n]*schema 0006, and 0007 is the oldest"
    ):
        migrate(empty, FIRST_DATE)
    assert objects(empty) == before


def test_functions_of_another_version_are_put_in_place_again(
    database: Database, empty: Database
) -> None:
    migrate(empty, FIRST_DATE)
    assert schema.is_newest(empty)
    with empty.connect() as sql:
        sql.execute(
            "create or replace function market_today() returns date language sql volatile"
            " parallel safe as $$ select '1999-01-01'::date $$"
        )
        sql.execute("update installation set value = 'another' where name = 'functions'")
    assert not schema.is_newest(empty)
    migrate(empty, FIRST_DATE)
    assert schema.is_newest(empty)
    assert objects(empty) == objects(database)


def test_splits_of_one_a_day_become_listed_events(empty: Database) -> None:
    load(empty, "schema_0010")
    with empty.connect() as sql:
        sql.execute(
            "insert into splits (symbol_id, execution_date, split_from, split_to)"
            " select s.id, day::date, 1, many from symbols s cross join (values"
            " ('2026-11-10', 3), ('2026-11-11', 2)) v (day, many) where s.ticker = 'AAPL'"
        )
    migrate(empty, date(2026, 1, 2))
    told = "select execution_date, split_to, adjustment_type, state from splits order by 1"
    assert rows(empty, told) == [
        (date(2026, 11, 10), 3.0, "forward_split", "listed"),
        (date(2026, 11, 11), 2.0, "forward_split", "listed"),
    ]


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
    load(empty, "schema_0009")
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
    # Again: nothing is left to move.
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
    load(empty, "schema_0017")
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
