"""Who gets in: every route against every wrong credential, and keys that change."""

# ruff: noqa: N802 - a test's name carries the feature row's id
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
def wrong(token: Callable[..., str], api: Any) -> dict[str, str | None]:
    """Return what must open nothing."""
    user = uuid4()
    good = token(user)
    return {
        "nothing": None,
        "garbage": "garbage",
        "three parts of garbage": "a.b.c",
        "a key that differs at its end": api.keys.anon[:-1] + "x",
        "a part of a key": api.keys.service[:-1],
        "another secret": token(user, "another-secret-that-is-long-enough-for-sha256"),
        "expired": token(user, exp=datetime.now(UTC) - timedelta(minutes=2)),
        "not yet": token(user, nbf=datetime.now(UTC) + timedelta(minutes=2)),
        "without an end": token(user, exp=None),
        "without a subject": token(user, sub=None),
        "a subject that is no id": token("me"),
        "an empty subject": token(""),
        "the role of the service": token(user, role="service_role"),
        "the role of nobody": token(user, role="anon"),
        "the owner's role": token(user, role="postgres"),
        "another audience": token(user, aud="somebody-else"),
        "an audience that is none": token(user, aud=["x", "y"]),
        "no algorithm": unsigned(),
        "no algorithm, but a role": unsigned(role="service_role"),
        "a signature taken off": good.rpartition(".")[0] + ".",
        "an algorithm that nobody allowed": token(user, algorithm="HS512"),
        "oversized": token(user, extra="x" * 9_000),
        "a subject changed": ".".join(
            (good.split(".")[0], segment({"sub": str(uuid4()), "exp": 9e9}), good.split(".")[2])
        ),
    }


@pytest.mark.parametrize(("method", "path"), FUNCTIONS)
def test_no_wrong_credential_opens_a_function(
    api: Any, wrong: dict[str, str | None], method: str, path: str
) -> None:
    for name, key in wrong.items():
        reply = api.call(method, path, key=key, json={} if method == "POST" else None)
        assert reply.status == 401, name
        assert reply.error == ("Missing authorization token" if key is None else "Unauthorized")
        assert reply.headers["www-authenticate"] == "Bearer"
    for header in ("Basic YTpi", "Bearer", "Token x", "bearer\tx"):
        reply = api.call(method, path, key=None, headers={"Authorization": header})
        assert reply.status == 401, header


@pytest.mark.parametrize(("method", "path"), FUNCTIONS)
def test_A33_only_the_service_key_opens_the_operators_functions(
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


class Issuer:
    """An identity provider: it signs tokens and publishes its public keys on loopback."""

    def __init__(self) -> None:
        self.document: bytes = b'{"keys": []}'
        self.asked = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(issuer.document)))
                self.end_headers()
                self.wfile.write(issuer.document)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())

    def publish(self, **keys: Any) -> None:
        """Publish the public halves of keys, by their ids."""
        made = []
        for kid, key in keys.items():
            kind: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            made.append(kind.to_jwk(key.public_key(), as_dict=True) | {"kid": kid})
        self.document = json.dumps({"keys": made}).encode()

    def sign(self, user: object, key: Any, algorithm: str, kid: str | None) -> str:
        claims = {"sub": str(user), "exp": datetime.now(UTC) + timedelta(hours=1)}
        return jwt.encode(claims, key, algorithm, {"kid": kid} if kid else None)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def an_issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    try:
        yield issuer
    finally:
        issuer.close()


def test_tokens_of_an_identity_provider_open_by_its_public_keys(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, token: Callable[..., str]
) -> None:
    user = uuid4()
    with an_issuer() as issuer:
        issuer.publish(first=issuer.rsa, second=issuer.ec)
        with serve(SWIFTBOLT_JWKS_URL=issuer.url) as api:

            def opens(key: str) -> bool:
                status = api.get("symbols-search?q=a", key=key).status
                assert status in {200, 401}
                return bool(status == 200)

            assert opens(issuer.sign(user, issuer.rsa, "RS256", "first"))
            assert opens(issuer.sign(user, issuer.ec, "ES256", "second"))
            assert opens(token(user))
            assert issuer.asked == 1
            # A key of one kind, a token of another.
            assert not opens(issuer.sign(user, issuer.rsa, "RS256", "second"))
            assert not opens(issuer.sign(user, issuer.ec, "ES256", "first"))
            assert not opens(issuer.sign(user, issuer.rsa, "RS256", None))
            pem = issuer.rsa.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            head = segment({"alg": "HS256", "kid": "first"})
            payload = segment({"sub": str(user), "exp": 9_999_999_999})
            signed = jwt.get_algorithm_by_name("HS256")
            forged = signed.sign(f"{head}.{payload}".encode(), pem)
            mark = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
            assert not opens(f"{head}.{payload}.{mark}")
            stranger = rsa.generate_private_key(65537, 2048)
            for number in range(40):
                assert not opens(issuer.sign(user, stranger, "RS256", f"unknown-{number}"))
            assert issuer.asked <= 2

            # A new key is found once half a minute has passed.
            monkeypatch.setattr("resources.jwks._AGAIN_S", 0.0)
            renewed = rsa.generate_private_key(65537, 2048)
            issuer.publish(third=renewed)
            assert opens(issuer.sign(user, renewed, "RS256", "third"))
            assert not opens(issuer.sign(user, issuer.rsa, "RS256", "first"))
            for document in (b"[]", b"5", b"null", b"{", b'{"keys": 5}', b"\xff", b"{}"):
                issuer.document = document
                assert opens(issuer.sign(user, renewed, "RS256", "third"))
                assert not opens(issuer.sign(user, renewed, "RS256", "fourth"))


def test_an_identity_provider_that_is_away_opens_nothing_and_fails_nothing(
    serve: Callable[..., Any], token: Callable[..., str]
) -> None:
    with an_issuer() as issuer:
        key = issuer.sign(uuid4(), issuer.rsa, "RS256", "first")
    with serve(SWIFTBOLT_JWKS_URL=issuer.url) as api:
        assert api.get("symbols-search?q=a", key=key).status == 401
        assert api.get("symbols-search?q=a", key=token(uuid4())).status == 200
