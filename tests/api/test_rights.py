"""One person never reads or changes another's rows, by no route and by no SQL of their role."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWN = ("user_symbol_tracking", "watchlists", "watchlist_items")
#: What runs with the owner's rights and a person may call; a new one needs a look, and a line.
DEFINERS = {
    "admit_caller()",
    "admit_symbols(text[])",
    "ensure_job(text,text,integer,integer)",
    "get_coverage_gaps(text,text,integer)",
    "get_job_progress(uuid)",
    "get_session_gaps(text,date,date)",
    "recheck_symbols(text[],integer)",
}


@dataclass
class People:
    """Two persons; the second one has things."""

    mine: UUID
    theirs: UUID
    my_key: str
    their_key: str
    their_list: str


@pytest.fixture
def people(api: Any, token: Callable[..., str]) -> People:
    mine, theirs = uuid4(), uuid4()
    keys = token(mine), token(theirs)
    body = {"action": "add", "symbol": "TSLA"}
    listed = api.post("watchlist-sync", body, key=keys[1]).json["watchlistId"]
    tracked = {"symbols": ["MSFT"], "source": "chart_view"}
    assert api.post("sync-user-symbols", tracked, key=keys[1]).status == 200
    return People(mine, theirs, *keys, listed)


def belongings(api: Any, user: UUID) -> list[Any]:
    """Return everything of a person, versions included."""
    return [
        api.sql(
            "select xmin::text, * from user_symbol_tracking where user_id = %s order by id", user
        ),
        api.sql("select xmin::text, * from watchlists where user_id = %s", user),
        api.sql(
            "select i.xmin::text, i.* from watchlist_items i join watchlists w on"
            " w.id = watchlist_id where user_id = %s",
            user,
        ),
    ]


@contextmanager
def acting(api: Any, role: str, user: UUID | None) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection of a role with a person's claims; what it did is committed."""
    with api.connect() as connection:
        claims = json.dumps({"sub": str(user), "role": role}) if user else ""
        connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
        connection.execute(f"set role {role}")
        yield connection


def test_no_route_touches_what_another_person_has(api: Any, people: People) -> None:
    before = belongings(api, people.theirs)
    for action in ("list", "add", "remove"):
        body = {"action": action, "symbol": "TSLA", "watchlistId": people.their_list}
        reply = api.post("watchlist-sync", body, key=people.my_key)
        assert reply.status == 404
        assert "TSLA" not in reply.body.decode()
    listed = api.post("watchlist-sync", {"action": "list"}, key=people.my_key).json
    assert listed["items"] == []
    assert listed["watchlistId"] != people.their_list
    for body in ({"action": "add", "symbol": "TSLA"}, {"action": "remove", "symbol": "TSLA"}):
        assert api.post("watchlist-sync", body, key=people.my_key).status == 200
    for source in ("watchlist", "chart_view", "recent_search"):
        body = {"symbols": ["TSLA", "MSFT"], "source": source, "user_id": str(people.theirs)}
        assert api.post("sync-user-symbols", body, key=people.my_key).status == 200
    claims = {"X-User-Id": str(people.theirs), "request.jwt.claims": f'{{"sub":"{people.theirs}"}}'}
    listed = api.post("watchlist-sync", {"action": "list"}, key=people.my_key, headers=claims).json
    assert [item["symbol"] for item in listed["items"]] == ["MSFT", "TSLA"]
    assert belongings(api, people.theirs) == before


def test_the_apps_key_is_one_person_and_the_service_key_too(api: Any, people: People) -> None:
    before = belongings(api, people.theirs)
    for key in (api.keys.anon, api.keys.service):
        reply = api.post("watchlist-sync", {"action": "list"}, key=key)
        assert reply.json["items"] == []
        body = {"action": "list", "watchlistId": people.their_list}
        assert api.post("watchlist-sync", body, key=key).status in {404, 200}
    assert belongings(api, people.theirs) == before
    body = {"action": "list", "watchlistId": people.their_list}
    assert api.post("watchlist-sync", body, key=api.keys.anon).status == 404


def test_no_sql_of_a_person_touches_what_another_person_has(api: Any, people: People) -> None:
    before = belongings(api, people.theirs)
    with acting(api, "authenticated", people.mine) as sql:
        for table in OWN:
            rows = sql.execute(f"select * from {table}").fetchall()
            assert str(people.theirs) not in str(rows)
            assert sql.execute(f"delete from {table}").rowcount == 0
        refused: list[tuple[str, tuple[object, ...]]] = [
            ("insert into watchlists (user_id, name) values (%s, 'x')", (people.theirs,)),
            (
                (
                    "insert into watchlist_items (watchlist_id, symbol_id)"
                    " select %s, id from symbols limit 1"
                ),
                (people.their_list,),
            ),
            (
                (
                    "insert into user_symbol_tracking (user_id, symbol_id, source)"
                    " select %s, id, 'watchlist' from symbols limit 1"
                ),
                (people.theirs,),
            ),
            ("insert into auth.users (id) values (gen_random_uuid())", ()),
            ("select * from auth.users", ()),
        ]
        for statement, values in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sql.execute(statement.encode(), values or None)
        status = sql.execute("select * from get_user_tracked_symbols_status(%s)", (people.theirs,))
        assert status.fetchall() == []
    assert belongings(api, people.theirs) == before


@pytest.mark.parametrize(("role", "own"), [("anon", ()), ("authenticated", OWN)])
def test_people_write_their_own_tables_and_no_other(
    api: Any, role: str, own: tuple[str, ...]
) -> None:
    """Failure mode 42: job tables could be written with the public key."""
    rights = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    found = api.sql(
        "select c.relname, p from pg_class c cross join unnest(%s::text[]) p"
        " where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')"
        " and (has_table_privilege(%s, c.oid, p)"
        "   or (p in ('INSERT', 'UPDATE', 'REFERENCES')"
        "     and has_any_column_privilege(%s, c.oid, p)))",
        list(rights),
        role,
        role,
    )
    assert {table for table, _ in found} == set(own)
    assert {right for _, right in found} <= {"INSERT", "UPDATE", "DELETE"}
    assert api.sql("select has_schema_privilege(%s, 'public', 'CREATE')", role) == [(False,)]


def test_people_read_only_what_is_for_all_and_their_own(api: Any) -> None:
    found = api.sql(
        "select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace"
        " and c.relkind in ('r', 'p', 'v') and not c.relispartition"
        " and has_table_privilege('authenticated', c.oid, 'SELECT')"
    )
    assert {name for (name,) in found} == {
        "symbols", "market_sessions", "interest_priorities", "interest_windows", *OWN,
        "ohlc_bars_v2", "job_definitions", "job_runs", "coverage_status", "splits",
        "delisted_symbols", "listed_tickers", "rechecks", "slices",
    }  # fmt: skip


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_what_runs_with_the_owners_rights_is_known_and_has_a_path_of_its_own(
    api: Any, role: str
) -> None:
    found = api.sql(
        "select p.oid::regprocedure::text, p.proconfig from pg_proc p"
        " join pg_namespace n on n.oid = p.pronamespace"
        " where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')"
        " and has_function_privilege(%s, p.oid, 'EXECUTE')",
        role,
    )
    assert {name for name, _ in found} <= DEFINERS
    if role == "authenticated":
        assert {name for name, _ in found} == DEFINERS
    for name, config in found:
        assert config == ["search_path=public, pg_temp"], name


def test_no_function_with_the_owners_rights_touches_what_another_person_has(
    api: Any, people: People
) -> None:
    before = belongings(api, people.theirs)
    users = api.sql("select id from auth.users order by 1")
    with acting(api, "authenticated", people.mine) as sql:
        assert sql.execute("select admit_caller()").fetchall() == [(people.mine,)]
        sql.execute("select admit_symbols(array['NVDA', 'AMD', 'NVDA'])")
        sql.execute("select ensure_job('MSFT', 'm15', 2147483647, 2147483647)")
        sql.execute("select ensure_job('MSFT', 'd1', -5, -5)")
        sql.execute("select * from get_session_gaps('MSFT', '-infinity', 'infinity')")
        sql.execute("select * from get_coverage_gaps('MSFT', 'm15', 2147483647)")
        for statement, error in (
            ("select ensure_job(null, null, null, null)", psycopg.Error),
            ("select ensure_job('x; drop table symbols', 'm15', 1, 1)", psycopg.Error),
            ("select ensure_job('MSFT', 'm7', 1, 1)", psycopg.errors.InvalidParameterValue),
            ("select admit_symbols(array['not a ticker'])", psycopg.errors.CheckViolation),
            ("select admit_symbols(array[null::text])", psycopg.Error),
            (
                "select admit_symbols(array_agg('A' || n)) from generate_series(1, 201) n",
                psycopg.errors.InvalidParameterValue,
            ),
        ):
            with pytest.raises(error):
                sql.execute(statement.encode())
    with acting(api, "authenticated", None) as sql:
        assert sql.execute("select admit_caller()").fetchall() == [(None,)]
    assert belongings(api, people.theirs) == before
    assert api.sql("select id from auth.users order by 1") == sorted([*users, (people.mine,)])
    # A caller cannot get before a person's watchlist, nor ask for more than a century.
    wanted = api.sql("select max(priority), max(window_days) from job_definitions")
    assert wanted == [(300, 36_500)]


def test_a_temporary_table_does_not_pass_for_one_of_the_platform(api: Any, people: People) -> None:
    names = (
        "symbols", "job_definitions", "job_runs", "symbol_plans", "market_sessions",
        "session_coverage", "interest_priorities", "installation", "wanted_symbols",
    )  # fmt: skip
    with acting(api, "authenticated", people.mine) as sql:
        for name in names:
            columns = "like public.symbols" if name == "symbols" else "x text"
            sql.execute(f"create temporary table {name} ({columns})")
        sql.execute(
            "create function pg_temp.market_today() returns date language sql as"
            " $$ select '2020-01-01'::date $$"
        )
        sql.execute("set search_path = pg_temp, public")
        job = sql.execute("select public.ensure_job('NVDA', 'm15', 730, 100)").fetchall()[0][0]
        gaps = sql.execute(
            "select * from public.get_session_gaps('NVDA', '2026-11-01', '2026-11-20')"
        )
        assert len(gaps.fetchall()) == 15
        gaps = sql.execute("select * from public.get_coverage_gaps('NVDA', 'm15', 30)")
        assert len(gaps.fetchall()) == 1
        for name in names:
            assert sql.execute(f"select * from pg_temp.{name}").fetchall() == []
    assert api.sql("select symbol from job_definitions where id = %s", job) == [("NVDA",)]
    assert api.sql("select count(*) from job_runs where symbol = 'NVDA'") == [(10,)]


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_what_the_platform_does_itself_fails_in_a_callers_hands(api: Any, role: str) -> None:
    """These functions have no rights of their own; the tables refuse."""
    api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15", "window_days": 30})
    with acting(api, role, uuid4()) as sql:
        for call in (
            "plan_job_runs()",
            "claim_symbol(gen_random_uuid(), 0)",
            "begin_slices('AAPL', '2026-01-01', '2026-12-01')",
            "seed_intraday_backfill_job('AAPL', 'm15', 30, 999)",
            "reset_stale_running_jobs()",
            "restart_slices('AAPL')",
            "cancel_unwanted_slices(array['AAPL'])",
            "plan_doubted_sessions()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sql.execute(f"select {call}")
    assert api.sql("select distinct status from job_runs") == [("queued",)]
