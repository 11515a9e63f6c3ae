"""The public keys with which an identity provider signs people's tokens (JWKS, RFC 7517).

Keys are kept for a while; an unknown key id asks again, not more often than every half minute, so
that forged tokens cause no traffic. A key opens only what it is published for, signatures by its
algorithm, and nothing where it is too short. What belongs here: fetching and keeping. What does
not: judging a token (`swiftbolt_assets/api/auth.py`), HTTP (`http.py`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import jwt

from resources.providers.http import fetch_document
from swiftbolt_assets.errors import UnavailableError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

_KEEP_S = 600.0
_AGAIN_S = 30.0
_MOST_BYTES = 1_000_000
#: RFC 7518, section 3.3.
_LEAST_RSA_BITS = 2_048
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
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at: float | None = None

    def of_token(self, token: str) -> Any | None:  # noqa: ANN401 - the library's key types
        """Return the public key that a token's header names, None for an unknown one.

        So is a key that is not made for the algorithm that the header names.

        Raises:
            jwt.InvalidTokenError: the token has no readable header.

        """
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid", "")
        with self._lock:
            age = None if self._asked_at is None else self._clock() - self._asked_at
            known = key_id in self._keys
            if age is None or age > _KEEP_S or (not known and age > _AGAIN_S):
                self._ask()
            found = self._keys.get(key_id)
        if found is None or found.algorithm_name != header.get("alg"):
            return None
        return found.key

    def _ask(self) -> None:
        """Fetch the keys; those that are known stay while nobody answers."""
        self._asked_at = self._clock()
        try:
            document = json.loads(fetch_document(self._url, _MOST_BYTES))
            found = jwt.PyJWKSet([key for key in document["keys"] if _signs(key)])
        except (UnavailableError, jwt.PyJWTError) as error:
            _LOG.warning("SWIFTBOLT_JWKS_URL: %s", one_line(error, 200))
            return
        except (LookupError, TypeError, ValueError):
            _LOG.warning("SWIFTBOLT_JWKS_URL: the document there is no JSON Web Key Set")
            return
        self._keys = {
            key.key_id: key for key in found.keys if isinstance(key.key_id, str) and _is_long(key)
        }


def _signs(key: dict[str, Any]) -> bool:
    """Return whether a published key is for signatures (RFC 7517, sections 4.2 and 4.3)."""
    return key.get("use", "sig") == "sig" and "verify" in key.get("key_ops", ["verify"])


def _is_long(key: jwt.PyJWK) -> bool:
    return key.key_type != "RSA" or key.key.key_size >= _LEAST_RSA_BITS
