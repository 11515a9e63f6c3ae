"""The one transport: time-outs, retries, redaction, and a record of every request.

What belongs here: everything that touches httpx, and the key's way into the header. What does
not: the key and the address themselves (`endpoint.py`), what is asked and what an answer means
(its folder), the budget (`rate_limit.py`), the
records of requests and replies (`replies.py`).

Retry outside, limiter inside: every attempt takes a slot. A rate limit is waited out by the
limiter and uses up no attempt.
"""

from __future__ import annotations

import os
import time
import zlib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

import httpx

from resources.providers.contract import RequestRecord
from resources.providers.deadline import Deadlines
from resources.providers.endpoint import KEY_PARAMETERS, checked_base_url, is_loopback
from resources.providers.rate_limit import SPARE, in_words
from resources.providers.replies import Parsed, Reply, Request, shown
from resources.retries import retried
from swiftbolt_assets.errors import (
    BudgetClosedError,
    MalformedReplyError,
    ProviderError,
    RateLimitedError,
    RetryableError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from resources.providers.endpoint import Secret
    from resources.providers.rate_limit import Limiter

T = TypeVar("T")

_GZIP = zlib.MAX_WBITS | 16
_single: ContextVar[bool] = ContextVar("single", default=False)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how often one tries.

    Attributes:
        connect_s: for the connection.
        read_s: for the next bytes.
        total_s: for one whole request; below the limiter's lease.
        max_bytes: of a body, decompressed; the largest honest page has about 6 MB.
        attempts: of one request, rate limits not counted.
        first_wait_s: before the second attempt, doubled from there on, with jitter.
        longest_wait_s: between two attempts.
        refusals: rate limits in a row that are waited out.
        refused_s: how long they are waited out, all in all; more is a matter for a later run.

    """

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 60.0
    max_bytes: int = 64 * 2**20
    attempts: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 20.0
    refusals: int = 10
    refused_s: float = 300.0


@contextmanager
def without_retries() -> Iterator[None]:
    """Try each request of this block once: it probes whether a provider answers again."""
    token = _single.set(True)
    try:
        yield
    finally:
        _single.reset(token)


class Transport:
    """One provider's connection pool.

    Args:
        base_url: `http(s)://host[:port][/prefix]`.
        name: the provider's, for messages and records.
        key: sent as `Authorization: Bearer`, never in a URL.
        limiter: gives the slots.
        record: is told of every request that was sent, failed ones too.
        bounds: how long and how often one tries.

    Raises:
        ConfigurationError: the base URL cannot be used; names the environment variable.

    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        key: Secret,
        limiter: Limiter,
        record: Callable[[RequestRecord], None],
        bounds: Bounds | None = None,
    ) -> None:
        self.name = name
        self.key = key
        self.limiter = limiter
        self.record = record
        self.bounds = bounds or Bounds()
        if self.bounds.total_s >= limiter.lease_s:
            raise ValueError(f"{name}: a request may outlive its slot's lease")
        self.base_url = checked_base_url(base_url, f"{name.upper()}_BASE_URL")
        self._deadlines = Deadlines()
        # By process: a parent's connections must be neither used nor closed by its child.
        self._clients: dict[int, httpx.Client] = {}

    def conversation(
        self, symbol: str | None, *, priority: int, on_wait: Callable[[float], None] | None = None
    ) -> Conversation:
        """Return the counted requests of one question; `on_wait` hears the seconds to a slot."""
        return Conversation(self, symbol, priority, on_wait)

    def close(self) -> None:
        """Close this process's connections; the next request opens new ones."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def send(self, request: Request, deadline: float) -> Reply:
        """Send one request, once.

        Raises:
            UnavailableError: no whole reply came, or a redirect.
            MalformedReplyError: the body is too large or its compression is broken.

        """
        failure: ProviderError
        try:
            with (
                self._deadlines.until(deadline),
                self._connected().stream("GET", self._url(request)) as response,
            ):
                try:
                    body = self._body(response)
                except MalformedReplyError:
                    if response.is_success:
                        raise
                    body = b""  # the status says enough: a refused key is not asked about again
                headers = {name.lower(): value for name, value in response.headers.items()}
                reply = Reply(response.status_code, headers, body, datetime.now(UTC))
        except httpx.TimeoutException as error:
            failure = UnavailableError(f"no answer in time ({type(error).__name__})")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = UnavailableError(f"{type(error).__name__}: {shown(error)}")
        else:
            if not response.is_redirect:
                return reply
            failure = UnavailableError(
                f"it redirects (HTTP {reply.status}), which is not followed; "
                f"check {self.name.upper()}_BASE_URL"
            )
        # Raised out here, without a cause: httpx's own errors hold the request and its header.
        raise failure

    def _url(self, request: Request) -> str:
        params = [(k, v) for k, v in request.params if k.lower() not in KEY_PARAMETERS]
        return f"{self.base_url}{request.path}?{urlencode(params)}"

    def _connected(self) -> httpx.Client:
        client = self._clients.get(os.getpid())
        if client is None:
            made = self._new_client()
            client = self._clients.setdefault(os.getpid(), made)
            if client is not made:  # another thread was faster
                made.close()
        return client

    def _new_client(self) -> httpx.Client:
        client = httpx.Client(
            headers={
                "Authorization": f"Bearer {self.key.reveal()}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": "swiftbolt",
            },
            timeout=httpx.Timeout(self.bounds.read_s, connect=self.bounds.connect_s),
            follow_redirects=False,
            # A proxy of the environment cannot reach this machine's loopback.
            trust_env=not is_loopback(self.base_url),
        )
        self._deadlines.bind(client)
        return client

    def _body(self, response: httpx.Response) -> bytes:
        """Return the body, decompressed here so that neither form can outgrow the bound."""
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity", "gzip"}:
            raise MalformedReplyError(f"unasked compression {shown(encoding)!r}")
        raw = bytearray()
        for chunk in response.iter_raw():
            raw += chunk
            if len(raw) > self.bounds.max_bytes:
                raise self._too_large()
        if encoding != "gzip" or not raw:
            return bytes(raw)
        inflater = zlib.decompressobj(_GZIP)
        try:
            body = inflater.decompress(raw, self.bounds.max_bytes + 1)
        except zlib.error as error:
            raise MalformedReplyError(f"broken gzip: {error}") from None
        if len(body) > self.bounds.max_bytes:
            raise self._too_large()
        if not inflater.eof:
            raise MalformedReplyError("the gzip body ends too early")
        return body

    def _too_large(self) -> MalformedReplyError:
        return MalformedReplyError(f"the body exceeds {self.bounds.max_bytes} bytes")


def fetch_document(url: str, most_bytes: int, timeout_s: float = 5.0) -> bytes:
    """Return a public document, such as an identity provider's keys; no key is sent.

    Raises:
        UnavailableError: it does not come in time, or is too large.

    """
    body = bytearray()
    deadline = time.monotonic() + 2 * timeout_s
    try:
        with httpx.stream(
            "GET", url, timeout=timeout_s, follow_redirects=False, trust_env=not is_loopback(url)
        ) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > most_bytes:
                    raise UnavailableError(f"the document exceeds {most_bytes} bytes")
                if time.monotonic() > deadline:
                    raise UnavailableError("no whole document in time")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"{type(error).__name__}: {shown(error)}") from None
    if not response.is_success:
        raise UnavailableError(f"HTTP {response.status_code}")
    return bytes(body)


class Conversation:
    """The requests of one question, retries and pages included.

    Attributes:
        requests: how many were sent so far.

    """

    def __init__(
        self,
        transport: Transport,
        symbol: str | None,
        priority: int,
        on_wait: Callable[[float], None] | None,
    ) -> None:
        self.requests = 0
        self._transport = transport
        self._symbol = symbol
        self._priority = priority
        # What is asked in spare time stays spare, whoever looks at its symbol.
        self._rises_with = symbol if priority > SPARE else None
        self._on_wait = on_wait

    def get(self, request: Request, check: Callable[[Reply], Parsed[T]]) -> Parsed[T]:
        """Return what `check` makes of the reply.

        `check` judges status and body, and raises a `ProviderError` for what it refuses; a
        retryable one is tried again with exponential back-off and jitter.

        Raises:
            ProviderError: no attempt succeeded; its text holds no key.
            StorageError: the limiter's database is away, so that nothing may be sent.

        """
        bounds = self._transport.bounds
        return retried(
            lambda: self._unrefused(request, check),
            RetryableError,
            most=1 if _single.get() else bounds.attempts,
            within_s=None,
            first_wait_s=bounds.first_wait_s,
            longest_wait_s=bounds.longest_wait_s,
        )

    def _unrefused(self, request: Request, check: Callable[[Reply], Parsed[T]]) -> Parsed[T]:
        """Return the first answer that is no rate limit; the limiter does the waiting."""
        bounds = self._transport.bounds
        since: float | None = None
        refused = 0
        while True:
            try:
                return self._once(request, check)
            except BudgetClosedError:
                raise
            except RateLimitedError as error:
                refused += 1
                since = since or time.monotonic()
                pause = self._transport.limiter.refused(error.retry_after)
                waited = time.monotonic() - since
                if refused >= bounds.refusals or waited + pause > bounds.refused_s:
                    raise BudgetClosedError(
                        f"{error}; not asked again for {in_words(pause)}", pause
                    ) from None

    def _once(self, request: Request, check: Callable[[Reply], Parsed[T]]) -> Parsed[T]:
        transport = self._transport
        sent_at: datetime | None = None
        ended = began = 0.0
        reply: Reply | None = None
        parsed: Parsed[T] | None = None
        outcome = "ok"
        try:
            with transport.limiter.slot(
                priority=self._priority, symbol=self._rises_with, on_wait=self._on_wait
            ) as grant:
                self.requests += 1
                sent_at, began = datetime.now(UTC), time.monotonic()
                try:
                    reply = transport.send(
                        request, min(began + transport.bounds.total_s, grant.deadline)
                    )
                finally:
                    ended = time.monotonic()
            parsed = check(reply)
            if parsed.request_id:
                parsed = replace(parsed, request_id=transport.key.redact(parsed.request_id))
        except ProviderError as error:
            outcome = type(error).__name__
            error.args = (transport.key.redact(f"{transport.name}: {error}"),)
            raise
        except BaseException as error:
            outcome = type(error).__name__
            raise
        else:
            return parsed
        finally:
            if sent_at is not None:
                transport.record(
                    RequestRecord(
                        provider=transport.name,
                        endpoint=request.path,
                        symbol=self._symbol,
                        sent_at=sent_at,
                        seconds=ended - began,
                        status=reply.status if reply else None,
                        outcome=outcome,
                        request_id=parsed.request_id if parsed else None,
                        bars=parsed.bars if parsed else 0,
                        base_minutes=parsed.base_minutes if parsed else 0,
                    )
                )
