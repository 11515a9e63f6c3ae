"""Who a caller is: the app's key, the operator's key, or a person's token.

A token is checked in full (algorithm, signature, expiry, subject); its role must be a person's.
What belongs here: judging what a request shows. What does not: keys (`keys.py`), fetching public
ones (`resources/jwks.py`), what a role may do (row-level security).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import jwt
from fastapi import Depends, Request

from resources.callers import AUTHENTICATED, SERVICE, Caller
from swiftbolt_assets.api.replies import HttpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from swiftbolt_assets.api.keys import ApiKeys

#: Where a caller shows a key or a token.
KEY_HEADERS = ("authorization", "apikey")
#: Clocks of issuers differ a little.
_LEEWAY_S = 30
_LONGEST_TOKEN = 8_192
_AUDIENCE = "authenticated"
_PUBLIC_ALGORITHMS = ["RS256", "ES256", "EdDSA"]
_NO_TOKEN = "Missing authorization token"  # noqa: S105 - a message
_REFUSED = "Unauthorized"


class Gate:
    """Judges what callers show.

    Args:
        keys: the keys that open.
        anon_user: whom the app's key stands for.
        public_key: returns the public key of a token's header, None for an unknown one; None when
            no JWKS is configured.

    """

    def __init__(
        self,
        keys: ApiKeys,
        anon_user: UUID,
        public_key: Callable[[str], Any] | None = None,
    ) -> None:
        self._keys = keys
        self._anon_user = anon_user
        self._public_key = public_key

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
            raise HttpError(401, _REFUSED)
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            claims = self._claims(token, str(algorithm))
            if claims.get("role", _AUDIENCE) != _AUDIENCE:
                raise HttpError(401, _REFUSED)
            return UUID(str(claims["sub"]))
        # TypeError: the token names an algorithm that its key is not made for.
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise HttpError(401, _REFUSED) from error

    def _claims(self, token: str, algorithm: str) -> dict[str, Any]:
        key: Any = None
        if algorithm == "HS256":
            key = self._keys.jwt_secret
        elif algorithm in _PUBLIC_ALGORITHMS and self._public_key is not None:
            key = self._public_key(token)
        if key is None:
            raise jwt.InvalidKeyError
        # The algorithm is what the key is for, never just what the token says: HS256 with a public
        # key as its secret is a known forgery.
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            leeway=_LEEWAY_S,
            options={"require": ["exp", "sub"], "verify_aud": False},
        )
        audience = claims.get("aud", _AUDIENCE)
        if _AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
            raise jwt.InvalidAudienceError
        return claims


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
