"""The public keys with which an identity provider signs people's tokens (JWKS, RFC 7517).

Keys are kept for a while; an unknown key id asks again, not more often than every half minute, so
that forged tokens cause no traffic. What belongs here: fetching and keeping. What does not: judging
a token (`swiftbolt_assets/api/auth.py`), HTTP (`http.py`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import jwt

from resources.http import fetch_document
from swiftbolt_assets.errors import UnavailableError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

_KEEP_S = 600.0
_AGAIN_S = 30.0
_MOST_BYTES = 1_000_000
_LOG = logging.getLogger(__name__)


class PublicKeys:
    """The keys at a URL.

    Args:
        url: of the JSON document.
        clock: seconds that only grow.

    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        self._asked_at: float | None = None

    def of_token(self, token: str) -> Any | None:  # noqa: ANN401 - the library's key types
        """Return the public key that a token's header names, None for an unknown one.

        Raises:
            jwt.InvalidTokenError: the token has no readable header.

        """
        key_id = jwt.get_unverified_header(token).get("kid", "")
        with self._lock:
            age = None if self._asked_at is None else self._clock() - self._asked_at
            known = key_id in self._keys
            if age is None or age > _KEEP_S or (not known and age > _AGAIN_S):
                self._ask()
            return self._keys.get(key_id)

    def _ask(self) -> None:
        """Fetch the keys; those that are known stay while nobody answers."""
        self._asked_at = self._clock()
        try:
            document = json.loads(fetch_document(self._url, _MOST_BYTES))
            found = jwt.PyJWKSet(document["keys"])
        except (UnavailableError, jwt.PyJWTError) as error:
            _LOG.warning("SWIFTBOLT_JWKS_URL: %s", one_line(error, 200))
            return
        except (LookupError, TypeError, ValueError):
            _LOG.warning("SWIFTBOLT_JWKS_URL: the document there is no JSON Web Key Set")
            return
        self._keys = {key.key_id: key.key for key in found.keys if isinstance(key.key_id, str)}
