"""The one reader of the environment.

What belongs here: every variable, its type, its default and its one-line refusal; how a provider's
are called, its record says (`resources/providers/registry.py`). `.env.example` documents each; a
test holds the two together. What does not: what is done with a setting.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from resources.providers.registry import HISTORY, PROVIDERS, TODAY
from swiftbolt_assets.clock import Clock
from swiftbolt_assets.database_url import DatabaseUrl
from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from resources.providers.capabilities import Capabilities

#: The variables that hold a key of a provider.
KEYS = tuple(name for one in PROVIDERS for name in one.key_variables)
#: How the names of all variables that are read here begin.
PREFIXES = (
    "SWIFTBOLT_",
    *dict.fromkeys(f"{name.partition('_')[0]}_" for one in PROVIDERS for name in one.variables),
    "RESAMPLE_",
    "MAX_CONCURRENT_JOBS",
)
CHECKOUT = Path(__file__).resolve().parent.parent
#: The market clock's offset in seconds: set by `up` and `demo` for the processes they start, so
#: that all share one clock.
CLOCK_OFFSET = "SWIFTBOLT_CLOCK_OFFSET"
#: Where the exchange's calendar begins.
_EARLIEST = date(2015, 1, 2)
_MOST = 100_000
#: Each has three assets and nine checks that every process loads.
_MOST_SHARDS = 64
#: Reports look back a week.
_LEAST_RETENTION = 7
#: Shorter keys can be guessed; HS256 wants 32 bytes (RFC 7518, 3.2).
_KEY_LENGTH, _SECRET_LENGTH = 16, 32
#: What runs the runs: a process each on this machine, Celery workers, or Kubernetes jobs.
PROFILES = ("local", "celery", "k8s")
_BROKER = re.compile(r"rediss?://[^\s/]+(/\d{1,3})?/?")
#: Registry, name and tag; a digest would do, too, but Helm's values ask for a tag.
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,200}:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
#: A DNS label (RFC 1123).
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")
_ORIGIN = re.compile(r"https?://[0-9A-Za-z.-]+(:[0-9]{1,5})?")
#: `UUID` alone takes braces, prefixes and missing dashes, too.
PLAIN_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Access:
    """How one provider is reached.

    Attributes:
        key: the key, or None.
        url: its base URL, or None for its own (the simulator's where no key is set).
        per_minute: the request budget; 0 is unlimited.

    """

    key: str | None = field(repr=False)
    url: str | None
    per_minute: int


@dataclass(frozen=True)
class Settings:
    """Everything that the environment decides; keys are left out of its repr.

    Attributes:
        home: state folder, absolute.
        database_url: an external Postgres, or None for the embedded one.
        dagster_url: the database of Dagster's storage, or None for `<name>_dagster` beside.
        first_date: the first partition.
        host: what servers listen on.
        clock: the market clock.
        providers: how each of them is reached, by name.
        max_concurrent_jobs: Dagster runs at once.
        resample_h1, resample_h4: whether 1-hour and 4-hour bars are derived.
        simulator_plan: `unlimited` or `free`, the plan that the simulator plays.
        anon_user: whose interest it is when nobody else is named.
        background: whether the seeded background symbols are filled when nobody waits.
        fork_runs: whether runs, and the platform's parts that need Dagster, are forked from a warm
            process.
        shards: how many sets of assets the symbols are divided over.
        anon_key, service_key: what the HTTP API's callers show, or None (see `api/keys.py`).
        jwt_secret: signs people's tokens (HS256), or None.
        jwks_url: where the public keys of people's tokens are, or None.
        jwt_issuer, jwt_audience: what people's tokens must name, or None (see `api/auth.py`).
        cors_origins: web origins that may call the API from a browser; `*` for all.
        retention_days: how long runs, events, requests and finished slices are kept.
        log_format: `text` or `json`, how the processes write their logs.
        profile: one of `PROFILES`: what runs the runs.
        broker_url: the Redis that hands runs to Celery workers, or None.
        image: the container image of Kubernetes' pods, or None.
        namespace: Kubernetes' namespace.

    """

    home: Path
    database_url: str | None = field(repr=False)
    dagster_url: str | None = field(repr=False)
    first_date: date
    host: str
    clock: Clock
    providers: Mapping[str, Access]
    max_concurrent_jobs: int
    resample_h1: bool
    resample_h4: bool
    simulator_plan: str
    anon_user: UUID
    background: bool
    fork_runs: bool
    shards: int
    anon_key: str | None = field(repr=False)
    service_key: str | None = field(repr=False)
    jwt_secret: str | None = field(repr=False)
    jwks_url: str | None
    jwt_issuer: str | None
    jwt_audience: str | None
    cors_origins: tuple[str, ...]
    retention_days: int
    log_format: str
    profile: str
    broker_url: str | None = field(repr=False)
    image: str | None
    namespace: str

    @property
    def simulated(self) -> bool:
        """Return whether bars come from the simulator: only when no provider's key is set."""
        return all(one.key is None for one in self.providers.values())

    @property
    def history(self) -> Access:
        """Return how the provider of past sessions is reached."""
        return self.providers[HISTORY.name]

    @property
    def has_live(self) -> bool:
        """Return whether today's bars can be had."""
        return self.is_on(TODAY)

    def is_on(self, provider: Capabilities) -> bool:
        """Return whether a provider is asked at all: not where only another one has a key."""
        return self.simulated or self.providers[provider.name].key is not None

    @property
    def embedded(self) -> bool:
        """Return whether the embedded Postgres is used."""
        return self.database_url is None


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: a variable is wrong; the message names it.

    """
    env = os.environ if environ is None else environ
    first_date, clock = _first_date(env), _clock(env)
    if clock.today() < first_date:
        raise ConfigurationError(
            f"SWIFTBOLT_FIRST_DATE: {first_date} is after the market clock's {clock.today()}; "
            "use an earlier day"
        )
    return Settings(
        home=_home(env),
        database_url=_database_url(env, "SWIFTBOLT_DATABASE_URL"),
        dagster_url=_database_url(env, "SWIFTBOLT_DAGSTER_URL"),
        first_date=first_date,
        host=_host(env),
        clock=clock,
        providers={one.name: _access(env, one) for one in PROVIDERS},
        max_concurrent_jobs=_count(env, "MAX_CONCURRENT_JOBS", 5, least=1),
        resample_h1=_flag(env, "RESAMPLE_H1_FROM_M15", default=True),
        resample_h4=_flag(env, "RESAMPLE_H4_FROM_M15", default=True),
        simulator_plan=_choice(env, "SWIFTBOLT_SIMULATOR_PLAN", ("unlimited", "free")),
        anon_user=_user(env, "SWIFTBOLT_ANON_USER"),
        background=_flag(env, "SWIFTBOLT_BACKGROUND", default=True),
        fork_runs=_flag(env, "SWIFTBOLT_FORK_RUNS", default=True),
        shards=_count(env, "SWIFTBOLT_SHARDS", 1, least=1, most=_MOST_SHARDS),
        anon_key=_api_key(env, "SWIFTBOLT_ANON_KEY"),
        service_key=_api_key(env, "SWIFTBOLT_SERVICE_KEY"),
        jwt_secret=_api_key(env, "SWIFTBOLT_JWT_SECRET", least=_SECRET_LENGTH),
        jwks_url=_provider_url(env, "SWIFTBOLT_JWKS_URL"),
        # As they are written: a slash at the end is part of the name.
        jwt_issuer=_key(env, "SWIFTBOLT_JWT_ISSUER"),
        jwt_audience=_key(env, "SWIFTBOLT_JWT_AUDIENCE"),
        cors_origins=_origins(env, "SWIFTBOLT_CORS_ORIGINS"),
        retention_days=_count(env, "SWIFTBOLT_RETENTION_DAYS", 30, least=_LEAST_RETENTION),
        log_format=_choice(env, "SWIFTBOLT_LOG_FORMAT", ("text", "json")),
        profile=_choice(env, "SWIFTBOLT_PROFILE", PROFILES),
        broker_url=_broker_url(env),
        image=_shaped(env, "SWIFTBOLT_IMAGE", _IMAGE, "REGISTRY/NAME:TAG"),
        namespace=_shaped(env, "SWIFTBOLT_NAMESPACE", _NAMESPACE, "small letters, digits, dashes")
        or "swiftbolt",
    )


def _text(env: Mapping[str, str], name: str) -> str | None:
    return env.get(name, "").strip() or None


def _home(env: Mapping[str, str]) -> Path:
    text = _text(env, "SWIFTBOLT_HOME")
    if text:
        try:
            return Path(text).expanduser().absolute()
        except (RuntimeError, ValueError):
            raise ConfigurationError(
                f"SWIFTBOLT_HOME: {text[:40]!r} is no path, or names a user without a home; "
                "write the whole path"
            ) from None
    root = CHECKOUT if (CHECKOUT / "workspace.yaml").is_file() else Path.cwd()
    return root / ".swiftbolt"


def _database_url(env: Mapping[str, str], name: str) -> str | None:
    text = _text(env, name)
    if text is None:
        return None
    try:
        return str(DatabaseUrl.parse(text))
    except ValueError:
        # What is wrong may be the password.
        raise ConfigurationError(
            f"{name}: use postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special letters of each "
            "part percent-encoded"
        ) from None


def _broker_url(env: Mapping[str, str]) -> str | None:
    text = _text(env, "SWIFTBOLT_BROKER_URL")
    if text is None:
        if _text(env, "SWIFTBOLT_PROFILE") == "celery":
            raise ConfigurationError(
                "SWIFTBOLT_BROKER_URL: it is unset, and the profile celery hands runs to its "
                "workers through a Redis; use redis://HOST:6379/0"
            )
        return None
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not (good and text.isascii() and _BROKER.fullmatch(text)):
        raise ConfigurationError(
            "SWIFTBOLT_BROKER_URL: use redis://:PASSWORD@HOST:6379/0, or rediss:// for TLS, "
            "special letters of the password percent-encoded"
        )
    return text


def _shaped(env: Mapping[str, str], name: str, shape: re.Pattern[str], use: str) -> str | None:
    text = _text(env, name)
    if text is not None and not shape.fullmatch(text):
        raise ConfigurationError(f"{name}: {text[:40]!r} is wrong; use {use}")
    return text


def _host(env: Mapping[str, str]) -> str:
    text = _text(env, "SWIFTBOLT_HOST") or "127.0.0.1"
    try:
        good = bool(_HOST_NAME.fullmatch(text) or ip_address(text))
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            f"SWIFTBOLT_HOST: {text[:40]!r} is no address; use one such as 127.0.0.1 or 0.0.0.0"
        )
    return text


def _first_date(env: Mapping[str, str]) -> date:
    text = _text(env, "SWIFTBOLT_FIRST_DATE") or "2024-01-02"
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # fromisoformat takes week dates and dates without dashes, too.
    if day is None or day.isoformat() != text:
        raise ConfigurationError(
            f"SWIFTBOLT_FIRST_DATE: {text[:20]!r} is not a date; use YYYY-MM-DD"
        )
    if not _EARLIEST <= day <= datetime.now(UTC).date():
        raise ConfigurationError(
            f"SWIFTBOLT_FIRST_DATE: {day} is out of reach; use a day from 2015-01-02 to today"
        )
    return day


def _clock(env: Mapping[str, str]) -> Clock:
    offset = _text(env, CLOCK_OFFSET)
    if offset:
        try:
            seconds = timedelta(seconds=float(offset))
        except (ValueError, OverflowError):
            raise ConfigurationError(f"{CLOCK_OFFSET}: {offset[:20]!r} is not seconds") from None
        if not _longest_offset() <= seconds <= timedelta(0):
            raise ConfigurationError(
                f"{CLOCK_OFFSET}: {offset[:20]!r} is out of range; it moves the clock back"
            )
        return Clock(seconds)
    text = _text(env, "SWIFTBOLT_NOW")
    if text is None:
        return Clock()
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"SWIFTBOLT_NOW: {text[:40]!r} is not an instant; use 2026-11-20T17:30:00-05:00"
        ) from None
    if instant.tzinfo is None:
        raise ConfigurationError(
            f"SWIFTBOLT_NOW: {text[:40]!r} has no time zone; write it with one, such as "
            "2026-11-20T17:30:00-05:00"
        )
    offset_now = instant - datetime.now(UTC)
    if offset_now > timedelta(0):
        raise ConfigurationError(
            f"SWIFTBOLT_NOW: {text} is in the future; use an instant not after the machine's"
        )
    if offset_now < _longest_offset():
        raise ConfigurationError(
            f"SWIFTBOLT_NOW: {text} is before {_EARLIEST}; use a later instant"
        )
    return Clock(offset_now)


def _longest_offset() -> timedelta:
    return datetime.combine(_EARLIEST, time(), UTC) - datetime.now(UTC)


def _key(env: Mapping[str, str], name: str) -> str | None:
    text = _text(env, name)
    if text is not None and not (text.isascii() and text.isprintable() and " " not in text):
        raise ConfigurationError(f"{name}: it holds blanks or control characters; copy it again")
    return text


def _access(env: Mapping[str, str], provider: Capabilities) -> Access:
    found = {key: name for name in provider.key_variables if (key := _key(env, name))}
    if len(found) > 1:
        one, other = provider.key_variable, list(found.values())[-1]
        raise ConfigurationError(
            f"{one}: {other} is another name of it, and the two differ; unset the wrong one"
        )
    return Access(
        key=next(iter(found), None),
        url=_provider_url(env, provider.url_variable),
        per_minute=_count(env, provider.per_minute_variable, provider.per_minute),
    )


def _api_key(env: Mapping[str, str], name: str, *, least: int = _KEY_LENGTH) -> str | None:
    text = _key(env, name)
    if text is not None and len(text) < least:
        raise ConfigurationError(f"{name}: it is shorter than {least} characters; use a random one")
    return text


def _origins(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    texts = [part.strip().rstrip("/") for part in (_text(env, name) or "").split(",")]
    for text in filter(None, texts):
        if text != "*" and not _ORIGIN.fullmatch(text):
            raise ConfigurationError(
                f"{name}: {text[:40]!r} is no origin; use https://HOST, several with commas, or *"
            )
    return tuple(dict.fromkeys(filter(None, texts)))


def _provider_url(env: Mapping[str, str], name: str) -> str | None:
    text = _text(env, name)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        raise ConfigurationError(f"{name}: it is not a URL; use https://HOST") from None
    plain = text.isascii() and text.isprintable() and not set(text) & set(' \\"<>')
    if not (plain and parts.scheme in {"http", "https"} and parts.hostname and port_is_good):
        raise ConfigurationError(f"{name}: use https://HOST or http://HOST:PORT")
    # Empty ones count: what follows a bare question mark would never reach the path.
    if set(text) & set("@?#"):
        raise ConfigurationError(f"{name}: give no credentials, query or fragment in it")
    return text.rstrip("/")


def _count(
    env: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int = _MOST
) -> int:
    text = _text(env, name)
    if text is None:
        return default
    # Length first: int() refuses thousands of digits with an error of its own.
    number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not number or not least <= int(text) <= most:
        raise ConfigurationError(
            f"{name}: {text[:20]!r} is wrong; use a whole number from {least} to {most}"
        )
    return int(text)


def _flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = (_text(env, name) or str(default)).lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise ConfigurationError(f"{name}: {text[:20]!r} is wrong; use true or false")


def _user(env: Mapping[str, str], name: str) -> UUID:
    text = _text(env, name) or str(UUID(int=0))
    if not PLAIN_UUID.fullmatch(text):
        raise ConfigurationError(
            f"{name}: {text[:40]!r} is not a UUID; use the id of a row of auth.users"
        )
    return UUID(text)


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = _text(env, name) or choices[0]
    if text not in choices:
        raise ConfigurationError(f"{name}: {text[:20]!r} is wrong; use {_either(choices)}")
    return text


def _either(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"
