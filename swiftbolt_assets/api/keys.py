"""The keys that open the API.

The environment's win. On loopback, missing ones are made at the first start and kept in
`SWIFTBOLT_HOME/api_keys.json`, readable by its owner alone; whoever listens wider must set them.
What belongs here: where keys come from. What does not: checking a caller's (`auth.py`).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from swiftbolt_assets.settings import Settings

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_FILE = "api_keys.json"
_BYTES = 32
_REMEDY = "delete it, and new keys are made at the next start"
#: Printed in every guide of a self-hosted Supabase.
_KNOWN_SECRETS = frozenset({"super-secret-jwt-token-with-at-least-32-characters-long"})
_DEMO_ISSUER = "supabase-demo"


@dataclass(frozen=True)
class ApiKeys:
    """What callers show.

    Attributes:
        anon: the app's key: whoever has it acts as `SWIFTBOLT_ANON_USER`.
        service: the operator's key.
        jwt_secret: signs people's tokens (HS256); None when only a JWKS does.

    """

    anon: str = field(repr=False)
    service: str = field(repr=False)
    jwt_secret: str | None = field(repr=False)


def require_keys(settings: Settings, host: str) -> None:
    """Refuse a host that is not loopback without keys of one's own; nothing is touched.

    Raises:
        ConfigurationError: a key is missing or known to everybody.

    """
    if host not in LOOPBACK_HOSTS:
        _distinct(_given_keys(settings))


def api_keys(settings: Settings, host: str) -> ApiKeys:
    """Return the keys for serving on a host, making missing ones where that is safe.

    Raises:
        ConfigurationError: two keys are the same, or the host is not loopback and a key is missing
            or known to everybody.

    """
    if host not in LOOPBACK_HOSTS:
        return _distinct(_given_keys(settings))
    made = _stored_keys(settings.home)
    return _distinct(
        ApiKeys(
            settings.anon_key or made.anon,
            settings.service_key or made.service,
            settings.jwt_secret or made.jwt_secret,
        )
    )


def _distinct(keys: ApiKeys) -> ApiKeys:
    """Refuse keys that open more than they should because they are the same."""
    if keys.anon == keys.service:
        raise ConfigurationError("SWIFTBOLT_SERVICE_KEY: it equals SWIFTBOLT_ANON_KEY; use another")
    if keys.jwt_secret in {keys.anon, keys.service}:
        raise ConfigurationError("SWIFTBOLT_JWT_SECRET: it equals one of the keys; use another")
    return keys


def _given_keys(settings: Settings) -> ApiKeys:
    given = {
        "SWIFTBOLT_ANON_KEY": settings.anon_key,
        "SWIFTBOLT_SERVICE_KEY": settings.service_key,
        "SWIFTBOLT_JWT_SECRET": settings.jwt_secret or settings.jwks_url,
    }
    for name, value in given.items():
        if value is None:
            other = " (or SWIFTBOLT_JWKS_URL)" if name == "SWIFTBOLT_JWT_SECRET" else ""
            raise ConfigurationError(
                f"{name}: set it{other} before listening on more than loopback"
            )
        if value in _KNOWN_SECRETS or _is_demo_key(value):
            raise ConfigurationError(f"{name}: it is a published default; use a random one")
    return ApiKeys(str(settings.anon_key), str(settings.service_key), settings.jwt_secret)


def _is_demo_key(text: str) -> bool:
    """Return whether a key is a token that Supabase publishes for trying it out."""
    payload = text.split(".")[1] if text.count(".") == 2 else ""  # noqa: PLR2004 - a JWT's parts
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(claims, dict) and claims.get("iss") == _DEMO_ISSUER


def _stored_keys(home: Path) -> ApiKeys:
    path = home / _FILE
    try:
        return _read(path)
    except FileNotFoundError:
        home.mkdir(parents=True, exist_ok=True)
    fresh = ApiKeys(*(secrets.token_urlsafe(_BYTES) for _ in range(3)))
    partial = home / f"{_FILE}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(fresh), file)
        try:
            # Not a rename: of two that start at once, the first one's keys hold.
            os.link(partial, path)
        except FileExistsError:
            return _read(path)
        finally:
            partial.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"SWIFTBOLT_HOME: {path} cannot be written ({error.strerror}); set it to a folder you "
            "may write"
        ) from error
    return fresh


def _read(path: Path) -> ApiKeys:
    try:
        found = json.loads(path.read_text("utf-8"))
        keys = [str(found[name] or "") for name in ("anon", "service", "jwt_secret")]
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(
            f"SWIFTBOLT_HOME: {path} cannot be read ({error.strerror})"
        ) from error
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"SWIFTBOLT_HOME: {path} is damaged; {_REMEDY}") from None
    if min(map(len, keys)) < _BYTES:
        raise ConfigurationError(f"SWIFTBOLT_HOME: {path} is damaged; {_REMEDY}")
    return ApiKeys(*keys)
