"""Servers that grant everything on what is made later: callers get no more than elsewhere."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.database import Database
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable

ROLES = ("anon", "authenticated", "service_role")
#: As every Supabase project has them, and the same for everybody.
EVERYTHING = tuple(
    f"alter default privileges for role {{owner}} in schema public grant all on {kind} to {whom}"
    for kind in ("tables", "sequences", "functions")
    for whom in (*ROLES, "public")
)
#: What each role may do with each object, by whatever way it came to the right.
RIGHTS = """
select role, c.oid::regclass::text, kind
  from pg_class c cross join unnest(array['anon', 'authenticated', 'service_role']) role
  cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references',
    'trigger']) kind
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
   and has_table_privilege(role, c.oid, kind)
union all
select role, c.oid::regclass::text, kind
  from pg_class c cross join unnest(array['anon', 'authenticated', 'service_role']) role
  cross join unnest(array['usage', 'select', 'update']) kind
 where c.relnamespace = 'public'::regnamespace and c.relkind = 'S'
   and has_sequence_privilege(role, c.oid, kind)
union all
select role, p.oid::regprocedure::text, 'execute'
  from pg_proc p cross join unnest(array['anon', 'authenticated', 'service_role']) role
 where p.pronamespace = 'public'::regnamespace and has_function_privilege(role, p.oid, 'execute')
"""


def owned(server: Any, *defaults: str) -> str:
    """Return the URL of a migrated database whose owner has default privileges."""
    url: str = server.managed()
    owner = url.rpartition("/")[2]
    statements = (f"grant {', '.join(ROLES)} to {owner}", *defaults)
    server.run(*(one.format(owner=owner) for one in statements), database=owner)
    migrate(Database(url, timedelta(0)), date(2026, 10, 1))
    return url


def test_default_privileges_give_callers_no_right_that_they_have_not_elsewhere(
    server: Any, rows: Callable[..., Any]
) -> None:
    server.run(*(f"create role {name} nologin" for name in ROLES))
    plain, generous = owned(server), owned(server, *EVERYTHING)
    expected = set(rows(plain, RIGHTS))
    assert ("anon", "symbols", "select") in expected
    assert set(rows(generous, RIGHTS)) == expected
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(generous, "set role anon; delete from alembic_version")
