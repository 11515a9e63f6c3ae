"""Who a caller is: the app's key, the operator's key, or a person's token.

A token is checked in full (algorithm, signature, times, issuer, audience, role, subject), and a
refusal names the first of these that failed, never the token. Whatever it claims, its holder is a
person, never the operator. What belongs here: judging what a request shows. What does not: keys
(`keys.py`), fetching public ones (`resources/providers/jwks.py`), what a role may do (row-level
security).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import jwt
from fastapi import Depends, Request

from resources.postgres.callers import AUTHENTICATED, SERVICE, Caller
from swiftbolt_assets.api.replies import HttpError
from swiftbolt_assets.settings import PLAIN_UUID

if TYPE_CHECKING:
    from collections.abc import Callable

    from swiftbolt_assets.api.keys import ApiKeys

#: Where a caller shows a key or a token.
KEY_HEADERS = ("authorization", "apikey")
#: Clocks of issuers differ a little.
_LEEWAY_S = 30
_LONGEST_TOKEN = 8_192
_AUDIENCE = "authenticated"
_SYMMETRIC = "HS256"
_ASYMMETRIC = ("RS256", "ES256", "EdDSA")
_NO_TOKEN = "Missing authorization token"  # noqa: S105 - a message
_NO_KEY = "key: it is none of this server's, and no token; swiftbolt env prints the keys"
#: What the library refuses, most special first.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired; sign in again"),
    (jwt.ImmatureSignatureError, "it is not valid yet; compare the clocks of issuer and server"),
    (jwt.InvalidIssuerError, "its issuer is not the one of SWIFTBOLT_JWT_ISSUER, letter by letter"),
    (jwt.exceptions.InvalidSubjectError, "its subject is no text"),
    (jwt.InvalidSignatureError, "its signature is by none of this server's keys"),
    (jwt.InvalidKeyError, "its algorithm is not the one of its key"),
    # The token names an algorithm that its key is not made for.
    (TypeError, "its algorithm is not the one of its key"),
)


@dataclass(frozen=True)
class TokenRules:
    """What people's tokens must say, whatever signed them.

    Attributes:
        issuer: the `iss` of each, None for any.
        audience: the `aud` of each, or one of it; None for `authenticated`, or none where the
            issuer or the secret is this installation's own.

    """

    issuer: str | None = None
    audience: str | None = None


class Gate:
    """Judges what callers show.

    Args:
        keys: the keys that open.
        anon_user: whom the app's key stands for.
        public_key: returns the public key of a token's header, None for an unknown one; None when
            no JWKS is configured.
        rules: what tokens must say.

    """

    def __init__(
        self,
        keys: ApiKeys,
        anon_user: UUID,
        public_key: Callable[[str], Any] | None = None,
        rules: TokenRules = TokenRules(),
    ) -> None:
        self._keys = keys
        self._anon_user = anon_user
        self._public_key = public_key
        self._rules = rules

    def judge(self, authorization: str | None, apikey: str | None) -> Caller:
        """Return the caller.

        A bearer counts before the `apikey` header: Supabase's clients send the app's key in both,
        or their user's token and the app's key.

        Raises:
            HttpError: 401, nothing is shown or it opens nothing.

        """
        shown = _bearer(authorization) or (apikey or "").strip()
        if not shown:
            raise HttpError(401, _NO_TOKEN)
        if _equal(shown, self._keys.service):
            return Caller(SERVICE, self._anon_user)
        if _equal(shown, self._keys.anon):
            return Caller(AUTHENTICATED, self._anon_user)
        return Caller(AUTHENTICATED, self._person(shown))

    def _person(self, token: str) -> UUID:
        if len(token) > _LONGEST_TOKEN:
            raise _refused(f"it is longer than {_LONGEST_TOKEN} characters")
        try:
            algorithm = str(jwt.get_unverified_header(token).get("alg"))
        except jwt.PyJWTError as error:
            raise HttpError(401, _NO_KEY) from error
        claims = self._claims(token, self._key(token, algorithm), algorithm)
        self._check_audience(claims.get("aud"), algorithm)
        if claims.get("role", _AUDIENCE) != _AUDIENCE:
            raise _refused(f"its role is not {_AUDIENCE}, the only one of people")
        return self._subject(claims["sub"])

    def _key(self, token: str, algorithm: str) -> Any:  # noqa: ANN401 - the library's key types
        key: Any = None
        if algorithm == _SYMMETRIC:
            key = self._keys.jwt_secret
            lack = "its algorithm is HS256, which needs SWIFTBOLT_JWT_SECRET"
        elif algorithm not in _ASYMMETRIC:
            lack = f"its algorithm is none of HS256, {', '.join(_ASYMMETRIC)}"
        elif self._public_key is None:
            lack = f"its algorithm is {algorithm}, which needs SWIFTBOLT_JWKS_URL"
        else:
            key = self._public_key(token)
            lack = "it names no key of SWIFTBOLT_JWKS_URL that signs by its algorithm"
        if key is None:
            raise _refused(lack)
        return key

    def _claims(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:  # noqa: ANN401
        try:
            # The algorithm is what the key is for, never just what the token says: HS256 with a
            # public key as its secret is a known forgery.
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                leeway=_LEEWAY_S,
                issuer=self._rules.issuer,
                options={"require": ["exp", "sub"], "verify_aud": False},
            )
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"it has no {error.claim}") from error
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError) as error:
            told = (words for kind, words in _WORDS if isinstance(error, kind))
            raise _refused(next(told, "it cannot be read")) from error
        return claims

    def _check_audience(self, audience: object, algorithm: str) -> None:
        """Refuse a token for another audience.

        One without any is for this installation only where nobody else's are signed alike: by the
        secret, or by the issuer that is named. Many tenants may share public keys.
        """
        rules = self._rules
        if audience is None and rules.audience is None:
            if rules.issuer is None and algorithm != _SYMMETRIC:
                raise _refused("it has no aud; set SWIFTBOLT_JWT_ISSUER")
            return
        if (rules.audience or _AUDIENCE) not in (
            audience if isinstance(audience, list) else [audience]
        ):
            name = "that of SWIFTBOLT_JWT_AUDIENCE" if rules.audience else _AUDIENCE
            raise _refused(f"its audience is not {name}")

    def _subject(self, subject: str) -> UUID:
        """Return the person: a UUID is itself, another subject one of its issuer's names."""
        # Every spelling that `UUID` takes would be one person under many names.
        if PLAIN_UUID.fullmatch(subject):
            return UUID(subject)
        if not (subject and subject.isprintable()):
            raise _refused("its subject is empty or cannot be shown")
        if self._rules.issuer is None:
            raise _refused("its subject is no UUID; that needs SWIFTBOLT_JWT_ISSUER")
        # Nested, as RFC 9562 has it: no issuer and subject read like another pair joined.
        return uuid5(uuid5(NAMESPACE_URL, self._rules.issuer), subject)


def require_caller(request: Request) -> Caller:
    """Return who asks.

    Raises:
        HttpError: 401.

    """
    gate: Gate = request.app.state.gate
    return gate.judge(*(request.headers.get(name) for name in KEY_HEADERS))


def require_service(request: Request) -> Caller:
    """Return the operator.

    Raises:
        HttpError: 401 for nobody, 403 for anybody else.

    """
    caller = require_caller(request)
    if not caller.is_service:
        raise HttpError(403, "this needs the service key; set SWIFTBOLT_SERVICE_KEY's value")
    return caller


AnyCaller = Annotated[Caller, Depends(require_caller)]
Operator = Annotated[Caller, Depends(require_service)]


def _bearer(authorization: str | None) -> str:
    scheme, _, rest = (authorization or "").strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""


def _equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _refused(why: str) -> HttpError:
    return HttpError(401, f"token: {why}")
