"""Where a provider is reached, and the key that opens it.

What belongs here: checks of the two settings that every provider has. What does not: reading the
environment (`swiftbolt_assets/settings.py`), sending (`http.py`).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import quote, urlsplit, urlunsplit

from swiftbolt_assets.errors import ConfigurationError

#: Query parameters that carry a key; they never go into a URL.
KEY_PARAMETERS = frozenset({"apikey", "api_key", "token", "access_token", "key"})


class Secret:
    """A provider's key that never shows itself.

    Args:
        value: the key.
        variable: the environment variable that holds it, named by errors.

    Raises:
        ConfigurationError: it is empty or no header can carry it.

    """

    __slots__ = ("_value", "variable")

    def __init__(self, value: str, variable: str) -> None:
        if not value:
            raise ConfigurationError(f"{variable}: it is empty; set it to your key")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ConfigurationError(f"{variable}: it holds characters that no key has")
        self._value = value
        self.variable = variable

    def reveal(self) -> str:
        """Return the key, for the header alone."""
        return self._value

    def redact(self, text: str) -> str:
        """Return a text without the key, as it is or percent-encoded."""
        return text.replace(self._value, "***").replace(quote(self._value, safe=""), "***")

    def __repr__(self) -> str:
        return "***"


def checked_base_url(text: str, variable: str) -> str:
    """Return a base URL without a trailing slash.

    Raises:
        ConfigurationError: it cannot be used; names the variable, shows no credentials.

    """
    problem = None
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"{variable}: it is no URL; use https://host") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        problem = "use http://host or https://host"
    elif parts.username is not None or parts.password is not None:
        problem = "it must hold no user and password"
    elif parts.query or parts.fragment:
        problem = "it must hold no query"
    elif port == 0 or not parts.netloc.isascii() or any(c.isspace() for c in text.strip()):
        problem = "its host or port cannot be used"
    if problem:
        raise ConfigurationError(f"{variable}: {problem}")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
