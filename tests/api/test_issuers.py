"""People of other issuers: their public keys, what their tokens must name, and who they are."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: As Auth0 writes it: the slash belongs to the name.
ISSUER = "https://tenant.example/"
AUDIENCE = "https://bars.example"


def segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


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

    def sign(
        self, user: object, key: Any, algorithm: str, kid: str | None, **claims: object
    ) -> str:
        """Return a token; a claim of None is left out."""
        told = {"sub": str(user), "exp": datetime.now(UTC) + timedelta(hours=1)}
        told |= {"aud": "authenticated"} | claims
        kept = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(kept, key, algorithm, {"kid": kid} if kid else None)

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
            monkeypatch.setattr("resources.providers.jwks._AGAIN_S", 0.0)
            renewed = rsa.generate_private_key(65537, 2048)
            issuer.publish(third=renewed)
            assert opens(issuer.sign(user, renewed, "RS256", "third"))
            assert not opens(issuer.sign(user, issuer.rsa, "RS256", "first"))
            for document in (b"[]", b"5", b"null", b"{", b'{"keys": 5}', b"\xff", b"{}"):
                issuer.document = document
                assert opens(issuer.sign(user, renewed, "RS256", "third"))
                assert not opens(issuer.sign(user, renewed, "RS256", "fourth"))


@pytest.mark.parametrize(
    "mark",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"alg": "RSA-OAEP"},
        {"alg": "RS512"},
    ],
)
def test_a_key_that_is_published_for_something_else_opens_nothing(
    serve: Callable[..., Any], mark: dict[str, Any]
) -> None:
    with an_issuer() as issuer:
        issuer.publish(other=issuer.rsa, good=issuer.ec)
        document = json.loads(issuer.document)
        published = {"use": "sig", "key_ops": ["verify"]}
        document["keys"][0].pop("key_ops", None)
        document["keys"][0] |= mark
        document["keys"][1] |= published | {"alg": "ES256"}
        issuer.document = json.dumps(document).encode()
        with serve(SWIFTBOLT_JWKS_URL=issuer.url) as api:
            other = issuer.sign(uuid4(), issuer.rsa, "RS256", "other")
            reply = api.get("symbols-search?q=a", key=other)
            assert reply.status == 401
            assert reply.error == (
                "token: it names no key of SWIFTBOLT_JWKS_URL that signs by its algorithm"
            )
            good = issuer.sign(uuid4(), issuer.ec, "ES256", "good")
            assert api.get("symbols-search?q=a", key=good).status == 200


# It warns of the short key, too.
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_key_that_is_too_short_to_trust_opens_nothing(serve: Callable[..., Any]) -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the point
    with an_issuer() as issuer:
        issuer.publish(short=short, good=issuer.rsa)
        with serve(SWIFTBOLT_JWKS_URL=issuer.url) as api:
            weak = issuer.sign(uuid4(), short, "RS256", "short")
            assert api.get("symbols-search?q=a", key=weak).status == 401
            good = issuer.sign(uuid4(), issuer.rsa, "RS256", "good")
            assert api.get("symbols-search?q=a", key=good).status == 200


def test_an_identity_provider_that_is_away_opens_nothing_and_fails_nothing(
    serve: Callable[..., Any], token: Callable[..., str]
) -> None:
    with an_issuer() as issuer:
        key = issuer.sign(uuid4(), issuer.rsa, "RS256", "first")
    with serve(SWIFTBOLT_JWKS_URL=issuer.url) as api:
        assert api.get("symbols-search?q=a", key=key).status == 401
        assert api.get("symbols-search?q=a", key=token(uuid4())).status == 200


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Return an identity provider of many tenants, its key published."""
    with an_issuer() as found:
        found.publish(shared=found.rsa)
        yield found


def said(api: Any, key: str) -> str:
    """Return why a token opens nothing; empty where it opens."""
    reply = api.post("watchlist-sync", {"action": "list"}, key=key)
    assert reply.status in {200, 401}
    return "" if reply.status == 200 else str(reply.error)


def test_keys_that_many_tenants_share_open_for_one_issuer_and_audience(
    serve: Callable[..., Any], issuer: Issuer, token: Callable[..., str]
) -> None:
    named = {"SWIFTBOLT_JWT_ISSUER": ISSUER, "SWIFTBOLT_JWT_AUDIENCE": AUDIENCE}
    good = {"iss": ISSUER, "aud": [AUDIENCE, "https://tenant.example/userinfo"]}

    def signed(user: object, **claims: object) -> str:
        return issuer.sign(user, issuer.rsa, "RS256", "shared", **good | claims)

    with serve(SWIFTBOLT_JWKS_URL=issuer.url, **named) as api:
        assert said(api, signed(uuid4())) == ""
        for claims, why in (
            ({"iss": "https://other.example/"}, "issuer"),
            ({"iss": ISSUER.rstrip("/")}, "issuer"),
            ({"iss": None}, "no iss"),
            ({"aud": "https://other.example"}, "audience"),
            ({"aud": "authenticated"}, "audience"),
            ({"aud": {AUDIENCE: AUDIENCE}}, "audience"),
            ({"aud": None}, "audience"),
            ({"exp": datetime.now(UTC) - timedelta(minutes=2)}, "expired"),
            ({"role": "service_role"}, "role"),
            ({"role": "admin"}, "role"),
        ):
            assert why in said(api, signed(uuid4(), **claims)), claims
        forged = issuer.sign(
            uuid4(), rsa.generate_private_key(65537, 2048), "RS256", "shared", **good
        )
        assert "signature" in said(api, forged)
        # Our own secret signs for the same issuer and audience, or for nobody.
        assert "no iss" in said(api, token(uuid4()))
        assert "audience" in said(api, token(uuid4(), iss=ISSUER))
        assert said(api, token(uuid4(), iss=ISSUER, aud=AUDIENCE)) == ""


def test_without_an_issuer_public_keys_open_for_who_names_the_audience(
    serve: Callable[..., Any], issuer: Issuer, token: Callable[..., str]
) -> None:
    """A provider whose tokens name none (Clerk) is told apart by its issuer."""

    def signed(**claims: object) -> str:
        return issuer.sign(uuid4(), issuer.rsa, "RS256", "shared", **claims)

    with serve(SWIFTBOLT_JWKS_URL=issuer.url) as api:
        assert said(api, signed(iss="https://any.example")) == ""
        assert "no aud; set SWIFTBOLT_JWT_ISSUER" in said(api, signed(aud=None))
        assert said(api, token(uuid4(), aud=None)) == ""
    with serve(SWIFTBOLT_JWKS_URL=issuer.url, SWIFTBOLT_JWT_ISSUER=ISSUER) as api:
        assert said(api, signed(iss=ISSUER, aud=None)) == ""
        assert "audience is not authenticated" in said(api, signed(iss=ISSUER, aud=AUDIENCE))


@pytest.mark.parametrize("subject", ["auth0|64f1c0", "user_2xYz", "Ann", "a b|c", "ä" * 90])
def test_a_subject_that_is_no_uuid_is_a_person_of_its_issuer(
    serve: Callable[..., Any], issuer: Issuer, subject: str
) -> None:
    key = issuer.sign(subject, issuer.rsa, "RS256", "shared", iss=ISSUER)
    with serve(SWIFTBOLT_JWKS_URL=issuer.url) as api:
        assert "SWIFTBOLT_JWT_ISSUER" in said(api, key)
    with serve(SWIFTBOLT_JWKS_URL=issuer.url, SWIFTBOLT_JWT_ISSUER=ISSUER) as api:
        api.clear()
        for _ in range(2):
            body = {"symbols": ["AAPL"], "source": "chart_view"}
            assert api.post("sync-user-symbols", body, key=key).status == 200
        person = uuid5(uuid5(NAMESPACE_URL, ISSUER), subject)
        assert api.sql("select user_id from user_symbol_tracking") == [(person,)]


def test_no_two_pairs_of_issuer_and_subject_are_one_person_and_none_is_the_operator(
    serve: Callable[..., Any], issuer: Issuer
) -> None:
    """Also where one's letters would continue the other's."""
    pairs = (
        ("https://a.example/", "b|c"),
        ("https://a.example/b", "|c"),
        ("https://a.example/b|", "c"),
        ("https://a.example/", "B|c"),
        ("https://a.example/", "b|c "),
    )
    people: set[UUID] = set()
    for name, subject in pairs:
        settings = {"SWIFTBOLT_JWKS_URL": issuer.url, "SWIFTBOLT_JWT_ISSUER": name}
        with serve(**settings) as api:
            api.clear()
            claims = {"iss": name, "app_metadata": {"role": "service_role"}, "service_role": True}
            key = issuer.sign(subject, issuer.rsa, "RS256", "shared", **claims)
            assert said(api, key) == ""
            assert api.get("orchestrator?action=status", key=key).status == 403
            people |= {user for (user,) in api.sql("select user_id from watchlists")}
    assert len(people) == len(pairs)


def test_a_uuid_is_itself_whoever_issued_it(serve: Callable[..., Any], issuer: Issuer) -> None:
    person = uuid4()
    with serve(SWIFTBOLT_JWKS_URL=issuer.url, SWIFTBOLT_JWT_ISSUER=ISSUER) as api:
        api.clear()
        for text in (str(person), str(person).upper()):
            key = issuer.sign(text, issuer.rsa, "RS256", "shared", iss=ISSUER)
            assert said(api, key) == ""
        assert api.sql("select user_id from watchlists") == [(person,)]
        for text in ("\ud800", "a\nb", "\x00"):
            key = issuer.sign(text, issuer.rsa, "RS256", "shared", iss=ISSUER)
            assert "cannot be shown" in said(api, key)
