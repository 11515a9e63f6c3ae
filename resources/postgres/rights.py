"""The rights that the owner of a bars' database needs, taken where it may give them to itself.

A managed server's owner is no superuser: since Postgres 16 it may not become a role that it has
created before it grants itself that, and a role, a schema or a database may be somebody else's.
What is missing is told as the statements that give it, before anything is changed.

What belongs here: roles and rights that migrations begin with. What does not: what callers may do
(`swiftbolt_assets/migrations/sql/`), acting as one (`callers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Connection = psycopg.Connection[tuple[Any, ...]]

ROLES = ("anon", "authenticated", "service_role")
_LANGUAGES = ("sql", "plpgsql")
#: From here on a role is become by a right of its own, SET.
_SET_OPTION = 160000


def take_rights(connection: Connection) -> None:
    """Make the roles and become able to act as them; the connection commits each statement.

    Raises:
        StorageError: a right is missing; it names the statements that give it. Or a schema `auth`
            is not one that callers can be told by.

    """
    stranger = _one(connection, _STRANGERS)
    if stranger:
        raise StorageError(
            f"database {connection.info.dbname}: its schema auth is another application's "
            f"({stranger}); use a database of its own"
        )
    _create_roles(connection)
    needed = [*_needed(connection), *_grant_roles(connection)]
    if needed:
        raise StorageError(_refusal(connection, needed))


def _refusal(connection: Connection, needed: Sequence[str]) -> str:
    """Return the line that says which statements somebody with more rights must run."""
    row = connection.execute("select current_user, current_database()").fetchone()
    owner, name = row or ("", "")
    return (
        f"database {name}: user {owner} has not all rights that it needs; have an administrator "
        f"run there: {' '.join(f'{statement};' for statement in needed)}"
    )


def _create_roles(connection: Connection) -> None:
    """Make the roles that are missing, where that is allowed."""
    for role in ROLES:
        if _exists(connection, role):
            continue
        try:
            with connection.transaction():
                connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue  # another database of the server was migrated meanwhile
        except psycopg.errors.InsufficientPrivilege:
            continue  # told below, with all else that is missing


def _grant_roles(connection: Connection) -> Iterator[str]:
    """Grant the owner what it needs to act as each role; yield what it may not grant itself."""
    is_newer = connection.info.server_version >= _SET_OPTION
    option = " with set true, inherit false" if is_newer else ""
    wanted = "set" if is_newer else "member"
    refused = []
    for role in ROLES:
        if not _exists(connection, role):
            yield f"create role {role} nologin"
            refused.append(role)
        elif not _one(connection, "select pg_has_role(current_user, %s, %s)", role, wanted):
            try:
                with connection.transaction():
                    connection.execute(f"grant {role} to current_user{option}".encode())
            except psycopg.errors.InsufficientPrivilege:
                refused.append(role)
    if refused:
        yield f"grant {', '.join(refused)} to {_owner(connection)}{option}"


def _needed(connection: Connection) -> Iterator[str]:
    """Yield a grant for each right on schemas and the database that is missing."""
    owner = _owner(connection)
    database = _one(connection, "select quote_ident(current_database())")
    may_create = _one(connection, "select has_database_privilege(current_database(), 'create')")
    if not may_create and not all(_has_schema(connection, name) for name in ("auth", "cron")):
        yield f"grant create on database {database} to {owner}"
    # Bars arrive through a temporary table.
    if not _one(connection, "select has_database_privilege(current_database(), 'temporary')"):
        yield f"grant temporary on database {database} to {owner}"
    for language in _LANGUAGES:
        if not _one(connection, "select count(*) from pg_language where lanname = %s", language):
            yield f"create extension {language}"
        if not _one(connection, _MAY_USE_LANGUAGE, language):
            yield f"grant usage on language {language} to {owner}"
    if not _has_all(connection, "has_schema_privilege('public', %s)", "usage, create"):
        yield f"grant usage, create on schema public to {owner}"
    yield from _rights_in_auth(connection, owner)
    for schema in ("public", "auth"):
        yield from _let_roles_in(connection, schema)


def _let_roles_in(connection: Connection, schema: str) -> Iterator[str]:
    """Grant the roles the use of a schema that is there; yield what may not be granted."""
    kept_out = [
        role
        for role in ROLES
        if _has_schema(connection, schema)
        and _exists(connection, role)
        and not _one(connection, "select has_schema_privilege(%s, %s, 'usage')", role, schema)
    ]
    if not kept_out:
        return
    statement = f"grant usage on schema {schema} to {', '.join(kept_out)}"
    try:
        with connection.transaction():
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        yield statement
        return
    # Whoever may use a schema and may not grant it is only warned.
    if not _one(connection, "select has_schema_privilege(%s, %s, 'usage')", kept_out[0], schema):
        yield statement


def _rights_in_auth(connection: Connection, owner: str) -> Iterator[str]:
    """Yield what is missing in a schema `auth` that is somebody else's."""
    if not _has_schema(connection, "auth"):
        return
    users, caller = _one(connection, _USERS), _one(connection, _CALLER)
    wanted = "usage" if users and caller else "usage, create"
    if not _has_all(connection, "has_schema_privilege('auth', %s)", wanted):
        yield f"grant {wanted} on schema auth to {owner}"
    if users and not _has_all(
        connection, f"has_table_privilege({users}::oid, %s)", "select, references"
    ):
        yield f"grant select, references on auth.users to {owner}"
    if caller and not _one(connection, f"select has_function_privilege({caller}::oid, 'execute')"):
        yield f"grant execute on function auth.uid() to {owner}"


def _has_all(connection: Connection, question: str, rights: str) -> bool:
    """Return whether each right is there: a list within one question asks for any of them."""
    return all(_one(connection, f"select {question}", right) for right in rights.split(", "))


def _has_schema(connection: Connection, name: str) -> bool:
    return bool(_one(connection, "select count(*) from pg_namespace where nspname = %s", name))


def _exists(connection: Connection, role: str) -> bool:
    return bool(_one(connection, "select count(*) from pg_roles where rolname = %s", role))


def _owner(connection: Connection) -> str:
    return str(_one(connection, "select quote_ident(current_user)"))


def _one(connection: Connection, statement: str, *arguments: object) -> Any:  # noqa: ANN401
    row = connection.execute(statement, arguments).fetchone()
    return row[0] if row else None


_MAY_USE_LANGUAGE = """
select bool_and(has_language_privilege(oid, 'usage')) is distinct from false
  from pg_language where lanname = %s
"""
# Looked up as they stand: a name that is resolved needs the right to use the schema.
_USERS = """
select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'auth' and c.relname = 'users'
"""
_CALLER = """
select p.oid from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 where n.nspname = 'auth' and p.proname = 'uid' and p.pronargs = 0
"""
# Each with what it is not.
_STRANGERS = f"""
select 'auth.users has no primary key id of type uuid' from ({_USERS}) u
 where not exists (
   select from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid
    where c.conrelid = u.oid and c.contype = 'p' and c.conkey = array[a.attnum]
      and a.attname = 'id' and a.atttypid = 'uuid'::regtype)
union all
select 'auth.uid() returns no uuid' from ({_CALLER}) f join pg_proc p using (oid)
 where p.prorettype <> 'uuid'::regtype or p.proretset
"""  # noqa: S608 - of constants
