"""The documents' proxy: one address for sign-in and SwiftBolt, and it hands out no key."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow
DOCUMENT = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text("utf-8")
#: What supabase-swift decodes of a sign-in, none of it optional.
SESSION = {
    "access_token": str, "token_type": str, "refresh_token": str, "expires_in": int,
    "expires_at": int, "user": dict,
}  # fmt: skip
USER = {"id", "aud", "created_at", "updated_at", "app_metadata", "user_metadata"}


def test_one_address_serves_the_sign_in_and_the_functions(
    api: Any, supabase_auth: Any, in_front: Callable[[str], str], node: Callable[..., Any]
) -> None:
    url = in_front(api.url)
    ann, bob = (supabase_auth.account(f"{name}@example.com") for name in ("ann", "bob"))
    for email, person, symbol in (
        ("ann@example.com", ann, "AAPL"),
        ("bob@example.com", bob, "MSFT"),
    ):
        signed_in, added = node(
            url,
            api.keys.anon,
            person={"email": email, "password": "secret"},
            calls=[["watchlist-sync", {"body": {"action": "add", "symbol": symbol}}]],
        )
        assert signed_in == {"data": str(person), "error": None}
        assert [item["symbol"] for item in added["data"]["items"]] == [symbol]
    assert api.sql("select user_id from watchlists order by created_at") == [(ann,), (bob,)]
    (refused,) = node(url, api.keys.anon, person={"email": "eve@example.com", "password": "x"})
    assert refused == {"data": None, "error": "Invalid login"}


def test_the_apps_sign_in_decodes_and_its_people_share_the_configured_users_watchlist(
    api: Any, supabase_auth: Any, in_front: Callable[[str], str]
) -> None:
    """It keeps showing its key to the functions, whoever has signed in."""
    url = in_front(api.url)
    supabase_auth.account("ann@example.com")
    reply = api.http.post(
        f"{url}/auth/v1/token?grant_type=password",
        json={"email": "ann@example.com", "password": "secret"},
        headers={"apikey": api.keys.anon},
    ).json()
    assert all(isinstance(reply[name], kind) for name, kind in SESSION.items())
    assert set(reply["user"]) >= USER
    listed = api.http.post(
        f"{url}/functions/v1/watchlist-sync",
        json={"action": "add", "symbol": "AAPL"},
        headers={"Authorization": f"Bearer {api.keys.anon}", "apikey": api.keys.anon},
    )
    assert listed.status_code == 200
    assert api.sql("select user_id from watchlists") == [(UUID(int=0),)]
    with api.http.stream(
        "GET",
        f"{url}/functions/v1/events?symbol=AAPL",
        headers={"Authorization": f"Bearer {reply['access_token']}"},
    ) as stream:
        assert next(stream.iter_lines()) == ": welcome"


def test_no_proxy_hands_out_the_apps_key(api: Any, in_front: Callable[[str], str]) -> None:
    """Not the documents', nor an nginx that was told nothing: it asks by HTTP/1.0, as loopback."""
    url = in_front(api.url)
    assert api.keys.anon in api.get("/chart", key=None).body.decode()
    for headers in ({}, {"X-Forwarded-For": ""}, {"Host": "localhost"}):
        page = api.http.get(f"{url}/chart", headers=headers)
        assert page.status_code == 200
        assert api.keys.anon not in page.text
    host, _, port = api.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 10) as bare:
        bare.sendall(b"GET /chart HTTP/1.0\r\nHost: 127.0.0.1:8000\r\nConnection: close\r\n\r\n")
        told = b"".join(iter(lambda: bare.recv(65_536), b"")).decode()
    assert told.startswith("HTTP/1.1 200")
    assert "swiftbolt-anon-key" in told
    assert api.keys.anon not in told


def test_postgrest_beside_us_would_hold_people_apart(api: Any, token: Callable[..., str]) -> None:
    """The documents' statements, and then what PostgREST does for each request."""
    mine, theirs = uuid4(), uuid4()
    for person, symbol in ((mine, "AAPL"), (theirs, "MSFT")):
        body = {"action": "add", "symbol": symbol}
        assert api.post("watchlist-sync", body, key=token(person)).status == 200
    (block,) = re.findall(r"```\n(create role authenticator.*?)```", DOCUMENT, re.DOTALL)
    with api.connect() as sql:
        sql.execute("begin")
        for statement in block.split(";"):
            if statement.strip():
                sql.execute(statement)
        sql.execute("set local session authorization authenticator")
        sql.execute("savepoint request")
        for role in ("service_role", "postgres"):
            with pytest.raises(psycopg.Error):
                sql.execute(f"set local role {role}")
            sql.execute("rollback to request")
        sql.execute("set local role authenticated")
        claims = f'{{"sub": "{mine}", "role": "service_role"}}'
        sql.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        owners = sql.execute("select user_id from watchlists").fetchall()
        assert owners == [(mine,)]
        seen = sql.execute(
            "select ticker from watchlist_items i join symbols s on s.id = symbol_id"
        ).fetchall()
        assert seen == [("AAPL",)]
        assert sql.execute("update watchlists set name = 'x' where true").rowcount == 1
        sql.execute("savepoint request")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sql.execute("update job_definitions set priority = 300")
        sql.execute("rollback to request")
        sql.execute("set local role anon")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sql.execute("select * from watchlists")
        sql.execute("rollback")
