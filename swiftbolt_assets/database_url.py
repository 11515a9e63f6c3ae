"""A database's URL, taken apart and put together as libpq does it.

`postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE`, each part percent-encoded; an empty
host stays empty, and a folder of sockets may stand in its place. libpq, SQLAlchemy and Dagster each
read such a URL in a way of their own, so what is given to them is written here as all three read
it. Source: https://www.postgresql.org/docs/current/libpq-connect.html (34.1.1.2).

What belongs here: the text. What does not: which variable it comes from (`settings.py`), connecting
(`resources/postgres/connection.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from swiftbolt_assets.errors import ConfigurationError

#: As many bytes of a database's name the server keeps; it cuts off the rest without a word.
LONGEST_NAME = 63
_LAST_PORT = 65_535
_SCHEME = re.compile(r"(?i)postgres(?:ql)?(?:\+\w+)?://")
_HALF_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
#: A name or an address, then maybe a port.
_SERVER = re.compile(r"(?:\[([^\[\]]+)\]|([^\[\]:]*))(?::([0-9]{0,5}))?")
#: Another database's name; or a name that is encoded, maybe a password's.
_ODD_OPTION = re.compile(r"(?:^|&)(?:dbname=|[^=&]*%)")
_PASSWORD = re.compile(r"(?i)\b(\w*password)=([^&]*)")


@dataclass(frozen=True)
class DatabaseUrl:
    """The URL of one database.

    Attributes:
        user, password: None where they are not given before the host.
        host: a name, an address without brackets, a folder of sockets, or empty for libpq's own.
        port: None for libpq's own.
        database: its name.
        options: what stands behind the question mark, as it is written.

    """

    user: str | None
    password: str | None = field(repr=False)
    host: str
    port: int | None
    database: str
    options: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Take a URL apart.

        Raises:
            ValueError: it is none, or one that is read differently by different programs.

        """
        scheme = _SCHEME.match(text)
        if scheme is None or _HALF_ENCODED.search(text) or not text.isprintable() or " " in text:
            raise ValueError
        # All of it is text, the options too, which stay as they are.
        _decoded(text)
        place, slash, rest = text[scheme.end() :].partition("/")
        database, _, options = rest.partition("?")
        credentials, at, server = place.rpartition("@")
        user, colon, password = credentials.partition(":")
        # An unquoted letter in a password ends up as host or port, and in libpq's errors.
        found = None if set(place) & set("?#") or "@" in credentials else _SERVER.fullmatch(server)
        if found is None or not (slash and database) or _ODD_OPTION.search(options):
            raise ValueError
        address, host, port = found.groups("")
        # Of several hosts it is the last one's port for libpq, and everybody's for others.
        if port and (not 0 < int(port) <= _LAST_PORT or "," in host):
            raise ValueError
        return cls(
            user=_decoded(user) if at else None,
            password=_decoded(password) if colon else None,
            host=_decoded(address or host),
            port=int(port) if port else None,
            database=_decoded(database),
            options=options,
        )

    def __str__(self) -> str:
        """Return the URL as libpq takes it."""
        return self._text("postgresql", self.password)

    @property
    def for_dagster(self) -> str:
        """Return the URL as SQLAlchemy takes it, with the driver of Dagster's storage."""
        return self._text("postgresql+psycopg2", self.password)

    @property
    def shown(self) -> str:
        """Return the URL as people may see it."""
        hidden = None if self.password is None else "***"
        return _PASSWORD.sub(r"\1=***", self._text("postgresql", hidden))

    def named(self, database: str) -> DatabaseUrl:
        """Return the URL of another database of the same server.

        Raises:
            ConfigurationError: the server would cut the name off, to another database's maybe.

        """
        if len(database.encode()) > LONGEST_NAME:
            raise ConfigurationError(
                f"database {self.database}: {database} is needed beside it, a name longer than "
                f"{LONGEST_NAME} bytes, which the server cuts off; use one with a shorter name"
            )
        return replace(self, database=database)

    def beside(self, suffix: str) -> DatabaseUrl:
        """Return the URL of the database `<name><suffix>` of the same server."""
        return self.named(f"{self.database}{suffix}")

    def _text(self, scheme: str, password: str | None) -> str:
        credentials = "" if self.user is None else _encoded(self.user)
        credentials += "" if password is None else f":{_encoded(password, safe='*')}"
        at = "@" if credentials else ""
        # SQLAlchemy decodes no host, and reads a plus among the options as a blank.
        is_plain = re.fullmatch(r"[\w.,-]*", self.host, re.ASCII)
        is_address = ":" in self.host and re.fullmatch(r"[0-9A-Fa-f:.]+", self.host)
        host = f"[{self.host}]" if is_address else self.host if is_plain else ""
        port = "" if self.port is None else f":{self.port}"
        options = [self.options.replace("+", "%2B")] if self.options else []
        options += [] if is_plain or is_address else [f"host={_encoded(self.host)}"]
        query = f"?{'&'.join(options)}" if options else ""
        return f"{scheme}://{credentials}{at}{host}{port}/{_encoded(self.database)}{query}"


def passwords(text: str) -> list[str]:
    """Return every spelling of the passwords in a URL, good or bad, the longest first."""
    _, _, rest = text.partition("://")
    # Wherever it ends: an unquoted one may hold the letter that ends it.
    written = {rest[: at.start()].partition(":")[2] for at in re.finditer("@", rest)}
    written |= {value for _, value in _PASSWORD.findall(text)}
    spelled = written | {unquote(one) for one in written}
    return sorted(filter(None, spelled | {_encoded(one) for one in spelled}), key=len, reverse=True)


def _encoded(text: str, *, safe: str = "") -> str:
    return quote(text, safe=safe)


def _decoded(text: str) -> str:
    return unquote(text, errors="strict")
