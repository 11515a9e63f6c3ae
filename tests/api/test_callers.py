"""Who gets in: every route against every wrong credential."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTIONS = (
    ("POST", "ensure-coverage"),
    ("GET", "coverage?symbol=AAPL&days=5"),
    ("POST", "sync-user-symbols"),
    ("POST", "watchlist-sync"),
    ("POST", "chart-data-v2"),
    ("GET", "chart?symbol=AAPL"),
    ("GET", "symbols-search?q=a"),
    ("GET", "quotes?symbols=AAPL"),
    ("GET", "events?symbol=AAPL"),
    ("GET", "orchestrator?action=status"),
    ("POST", "orchestrator"),
    ("POST", "fetch-bars"),
)
OPERATORS = {"orchestrator", "fetch-bars"}


def unsigned(**claims: Any) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": str(uuid4()), "exp": 9_999_999_999} | claims)
    return ".".join(segment(part) for part in parts) + "."


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.fixture
def wrong(token: Callable[..., str], api: Any) -> dict[str, tuple[str | None, str]]:
    """Return what must open nothing, and what the refusal says of it."""
    user = uuid4()
    good = token(user)
    key, role, audience = "key: ", "role", "audience"
    nobody, algorithm, signature = "Missing authorization token", "algorithm", "signature"
    changed = (good.split(".")[0], segment({"sub": str(uuid4()), "exp": 9e9}), good.split(".")[2])
    return {
        "nothing": (None, nobody),
        "garbage": ("garbage", key),
        "three parts of garbage": ("a.b.c", key),
        "a key that differs at its end": (api.keys.anon[:-1] + "x", key),
        "a part of a key": (api.keys.service[:-1], key),
        "another secret": (token(user, "another-secret-that-is-long-enough-for-sha256"), signature),
        "expired": (token(user, exp=datetime.now(UTC) - timedelta(minutes=2)), "expired"),
        "not yet": (token(user, nbf=datetime.now(UTC) + timedelta(minutes=2)), "not valid yet"),
        "without an end": (token(user, exp=None), "no exp"),
        "an end without end": (token(user, exp=float("inf")), "cannot be read"),
        "without a subject": (token(user, sub=None), "no sub"),
        "a subject that is no id": (token("auth0|me"), "subject is no UUID"),
        "another spelling of an id": (token(user.hex), "subject is no UUID"),
        "an empty subject": (token(""), "subject is empty"),
        "a number as subject": (token(user, sub=5), "subject is no text"),
        "the role of the service": (token(user, role="service_role"), role),
        "the role of nobody": (token(user, role="anon"), role),
        "the owner's role": (token(user, role="postgres"), role),
        "several roles": (token(user, role=["authenticated", "service_role"]), role),
        "another audience": (token(user, aud="somebody-else"), audience),
        "an audience that is none": (token(user, aud=["x", "y"]), audience),
        "no algorithm": (unsigned(), algorithm),
        "no algorithm, but a role": (unsigned(role="service_role"), algorithm),
        "a signature taken off": (good.rpartition(".")[0] + ".", signature),
        "an algorithm that nobody allowed": (token(user, algorithm="HS512"), algorithm),
        "an algorithm without keys": (good_header("RS256", good), "SWIFTBOLT_JWKS_URL"),
        "oversized": (token(user, extra="x" * 9_000), "longer than"),
        "a subject changed": (".".join(changed), signature),
    }


def good_header(algorithm: str, good: str) -> str:
    """Return a token that names another algorithm."""
    return ".".join((segment({"alg": algorithm, "typ": "JWT"}), *good.split(".")[1:]))


@pytest.mark.parametrize(("method", "path"), FUNCTIONS)
def test_no_wrong_credential_opens_a_function_and_each_is_told_what_is_wrong_with_it(
    api: Any, wrong: dict[str, tuple[str | None, str]], method: str, path: str
) -> None:
    for name, (key, why) in wrong.items():
        reply = api.call(method, path, key=key, json={} if method == "POST" else None)
        assert reply.status == 401, name
        assert why in reply.error, name
        assert key is None or key not in reply.error
        assert api.keys.jwt_secret not in reply.error
        assert reply.headers["www-authenticate"] == "Bearer"
    for header in ("Basic YTpi", "Bearer", "Token x", "bearer\tx"):
        reply = api.call(method, path, key=None, headers={"Authorization": header})
        assert reply.status == 401, header


@pytest.mark.parametrize(("method", "path"), FUNCTIONS)
def test_only_the_service_key_opens_the_operators_functions(
    api: Any, token: Callable[..., str], method: str, path: str
) -> None:
    """Failure mode 42: anybody could burn the request budget."""
    name = path.partition("?")[0]
    for key in (api.keys.anon, token(uuid4())):
        if name == "events":
            continue  # it answers without end; test_events.py reads it
        reply = api.call(method, path, key=key, json={} if method == "POST" else None)
        assert (reply.status == 403) == (name in OPERATORS)
        assert reply.status not in {401, 500}
    if name in OPERATORS:
        reply = api.call(method, path, key=api.keys.service, json={} if method == "POST" else None)
        assert reply.status in {200, 400}


def test_the_apps_key_counts_in_either_header_and_a_bearer_counts_first(
    api: Any, token: Callable[..., str]
) -> None:
    found = api.get("symbols-search?q=a", key=None, headers={"apikey": api.keys.anon})
    assert found.status == 200
    headers = {"apikey": api.keys.service}
    assert api.get("orchestrator?action=status", key=token(uuid4()), headers=headers).status == 403
    assert api.get("orchestrator?action=status", key="garbage", headers=headers).status == 401
    assert api.get("orchestrator?action=status", key=None, headers=headers).status == 200


def test_a_token_of_an_unknown_person_makes_the_person_known(
    api: Any, token: Callable[..., str]
) -> None:
    person = uuid4()
    body = {"symbols": ["AAPL"], "source": "chart_view"}
    assert api.post("sync-user-symbols", body, key=token(person)).status == 200
    assert api.sql("select user_id from user_symbol_tracking") == [(person,)]
