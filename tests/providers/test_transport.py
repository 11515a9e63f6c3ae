"""One request over real HTTP: how often each fault is tried, what is recorded, what is bounded."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import
from __future__ import annotations

import gzip
import os
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from resources.providers.endpoint import Secret, checked_base_url
from resources.providers.http import Transport, without_retries
from resources.providers.polygon.reply import judge
from resources.providers.rate_limit import PostgresLimiter, Unlimited
from resources.providers.replies import Parsed, Reply, Request, decoded, retry_after
from swiftbolt_assets.errors import (
    BadRequestError,
    ConfigurationError,
    KeyRefusedError,
    MalformedReplyError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = {"status": "OK"}
ASK = Request("/a%2Fb", (("x", "1 2"),))


def check(reply: Reply) -> Parsed[Any]:
    if error := judge(reply):
        raise error
    return Parsed(decoded(reply.body), bars=3, base_minutes=45, request_id="id")


def get(one: Any, request: Request = ASK) -> Any:
    return one.transport.conversation("AAPL", priority=100).get(request, check).value


def nothing(connection: socket.socket) -> None:
    """Hang up without a word."""
    connection.shutdown(socket.SHUT_RDWR)


def dripping(text: bytes, pause_s: float) -> Callable[[socket.socket], None]:
    def drip(connection: socket.socket) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(pause_s)

    return drip


def silent(connection: socket.socket) -> None:
    """Say nothing until the client hangs up."""
    connection.recv(1)


def test_a_good_reply_is_one_request_with_one_record(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(GOOD))
    one = talk()
    before = datetime.now(UTC)
    assert get(one) == GOOD
    assert wire.heads[0].startswith("GET /a%2Fb?x=1+2 HTTP/1.1\r\n")
    (record,) = one.records
    assert (record.provider, record.endpoint, record.symbol) == ("polygon", "/a%2Fb", "AAPL")
    assert (record.status, record.outcome, record.request_id) == (200, "ok", "id")
    assert (record.bars, record.base_minutes) == (3, 45)
    assert before <= record.sent_at <= datetime.now(UTC)
    assert 0 < record.seconds < 10


FAULTS = {
    "500": lambda wire: wire.reply(b"", status=500),
    "502 with HTML": lambda wire: wire.reply(b"<html>", status=502),
    "hung up": lambda _wire: nothing,
    "cut body": lambda wire: wire.reply(GOOD, Content_Length="100"),
    "cut head": lambda _wire: b"HTTP/1.1 200 OK\r\nContent-Le",
    "no HTTP": lambda _wire: b"\x16\x03\x01\x02\r\n\r\n",
    "cut chunks": lambda _wire: b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"sta',
    "redirect": lambda wire: wire.reply(b"", status=302, Location="http://evil.example/"),
    "silence": lambda _wire: silent,
}
MALFORMED = {
    "HTML": lambda wire: wire.reply(b"<html></html>"),
    "cut JSON": lambda wire: wire.reply(b'{"status":'),
    "empty": lambda wire: wire.reply(b""),
    "cut gzip": lambda wire: wire.reply(
        gzip.compress(b'{"status":"OK"}' * 99)[:-9], Content_Encoding="gzip"
    ),
    "no gzip": lambda wire: wire.reply(b"{}", Content_Encoding="gzip"),
    "other compression": lambda wire: wire.reply(b"{}", Content_Encoding="br"),
    "gzip in gzip": lambda wire: wire.reply(
        gzip.compress(gzip.compress(b"{}")), Content_Encoding="gzip, gzip"
    ),
    "huge": lambda wire: wire.reply(b" " * 2**20),
    "bomb": lambda wire: wire.reply(gzip.compress(b" " * 2**24), Content_Encoding="gzip"),
    "204": lambda wire: wire.reply(b"", status=204),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_tried_four_times(fault: str, wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(FAULTS[fault](wire))
    one = talk(read_s=0.2)
    with pytest.raises(UnavailableError, match=r"^polygon: "):
        get(one)
    assert len(wire.heads) == 4
    assert one.outcomes == ["UnavailableError"] * 4


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_body_that_cannot_be_read_is_tried_four_times(
    fault: str, wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(MALFORMED[fault](wire))
    one = talk(max_bytes=2**19)
    with pytest.raises(MalformedReplyError, match=r"^polygon: "):
        get(one)
    assert len(wire.heads) == 4
    assert one.outcomes == ["MalformedReplyError"] * 4


@pytest.mark.parametrize("fault", ["500", "hung up", "cut body", "silence"])
def test_a_passing_fault_costs_one_request_more(
    fault: str, wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(FAULTS[fault](wire), wire.reply(GOOD))
    one = talk(read_s=0.2)
    assert get(one) == GOOD
    assert one.outcomes == ["UnavailableError", "ok"]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, KeyRefusedError), (403, PermissionDeniedError), (400, BadRequestError)],
)
def test_what_will_fail_again_is_asked_once(
    status: int, error: type[Exception], wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(b"", status=status))
    one = talk()
    with pytest.raises(error):
        get(one)
    assert len(wire.heads) == 1
    assert one.records[0].status == status
    assert one.records[0].outcome == error.__name__


def test_a_refusal_with_an_unreadable_body_is_still_a_refusal(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(b"x", status=401, Content_Encoding="br"))
    with pytest.raises(PermissionDeniedError):
        get(talk())
    assert len(wire.heads) == 1


def test_nobody_there_is_unavailable(talk: Callable[..., Any], wire: Any) -> None:
    wire.close()
    one = talk()
    with pytest.raises(UnavailableError, match="ConnectError"):
        get(one)
    assert one.outcomes == ["UnavailableError"] * 4
    assert one.records[0].status is None


def test_a_body_in_gzip_is_read(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(gzip.compress(b'{"status":"OK"}'), Content_Encoding="gzip"))
    assert get(talk()) == GOOD
    assert "Accept-Encoding: gzip\r\n" in wire.heads[0]


@pytest.mark.parametrize(
    "act",
    [
        dripping(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 1\r\n" * 100, 0.02),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b" " * 900, 0.02),
    ],
)
def test_a_reply_that_drips_ends_with_the_whole_requests_limit(
    act: Any, wire: Any, talk: Callable[..., Any]
) -> None:
    """Each byte comes in time, but a slot's lease is bounded."""
    wire.script(act)
    one = talk(total_s=0.3, attempts=1)
    with pytest.raises(UnavailableError, match="no answer in time"):
        get(one)
    assert 0.25 < one.records[0].seconds < 3


def test_rate_limits_use_up_no_attempt(wire: Any, talk: Callable[..., Any]) -> None:
    refusal = wire.reply(b"", status=429, Retry_After="7")
    failure = wire.reply(b"", status=500)
    wire.script(refusal, failure, refusal, failure, refusal, failure, refusal, wire.reply(GOOD))
    one = talk()
    assert get(one) == GOOD
    assert one.limiter.pushes == [7.0] * 4
    assert one.outcomes.count("RateLimitedError") == 4
    assert len(wire.heads) == 8


def test_rate_limits_without_end_end(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(b"", status=429, Retry_After="1"))
    one = talk()
    with pytest.raises(RateLimitedError):
        get(one)
    assert len(wire.heads) == 10


def test_rate_limits_are_not_waited_out_for_more_than_their_time(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(b"", status=429, Retry_After="100"))
    with pytest.raises(RateLimitedError):
        get(talk(refused_s=50))
    assert len(wire.heads) == 1


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("7", 7), (" 7.5 ", 7.5), ("0", 1), ("100000", 86_400), ("7200", 7200)),
        *((text, None) for text in ("", "-5", "soon", "nan", "inf", "1e400", "\x00")),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), None),
        (format_datetime(NOW + timedelta(days=3), usegmt=True), 86_400),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30),
        ("Fri, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(text: str, seconds: float | None) -> None:
    assert retry_after(Reply(429, {"retry-after": text}, b"", NOW)) == seconds


def test_a_retry_date_is_compared_with_the_providers_own_clock() -> None:
    sent = NOW - timedelta(hours=1)
    headers = {
        "retry-after": format_datetime(sent + timedelta(seconds=40), usegmt=True),
        "date": format_datetime(sent, usegmt=True),
    }
    assert retry_after(Reply(429, headers, b"", NOW)) == 40


def test_a_probe_is_one_request(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(b"", status=500))
    one = talk()
    with without_retries(), pytest.raises(UnavailableError):
        get(one)
    assert len(wire.heads) == 1
    with pytest.raises(UnavailableError):
        get(one)
    assert len(wire.heads) == 5


def test_the_slot_is_given_back_before_the_reply_is_read(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(GOOD))
    one = talk()
    held: list[str] = []
    plain = one.limiter.slot

    class Slot:
        def __init__(self, **keywords: Any) -> None:
            self.inner = plain(**keywords)

        def __enter__(self) -> Any:
            held.append("taken")
            return self.inner.__enter__()

        def __exit__(self, *exception: object) -> None:
            held.append("given back")
            self.inner.__exit__(*exception)

    one.limiter.slot = Slot

    def late(reply: Reply) -> Parsed[None]:
        held.append("read")
        return check(reply)

    one.transport.conversation(None, priority=1).get(ASK, late)
    assert held == ["taken", "given back", "read"]


def test_a_fault_of_our_own_is_recorded_and_not_retried(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(GOOD))
    one = talk()

    def broken(_reply: Reply) -> Parsed[None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        one.transport.conversation(None, priority=1).get(ASK, broken)
    assert one.outcomes == ["ZeroDivisionError"]


def test_a_forked_child_opens_its_own_connections(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(GOOD))
    one = talk()
    assert get(one) == GOOD
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = get(one) == GOOD
        finally:
            os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert get(one) == GOOD


def test_connections_are_kept_and_shared_by_threads(talk: Callable[..., Any], wire: Any) -> None:
    wire.script(wire.reply(GOOD))
    one = talk()
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(get(one))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [GOOD] * 4
    assert len(one.records) == 4


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://api.polygon.io", "https://api.polygon.io"),
        (" http://127.0.0.1:8000/polygon/ ", "http://127.0.0.1:8000/polygon"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_good_base_url_is_kept(text: str, kept: str) -> None:
    assert checked_base_url(text, "POLYGON_BASE_URL") == kept


@pytest.mark.parametrize(
    "text",
    [
        *("", "api.polygon.io", "ftp://x", "file:///etc/passwd", "http://", "https://:8000"),
        *("http://user:sekret@host", "http://sekret@host", "http://host?apiKey=sekret"),
        *("http://host#sekret", "http://host:99999", "http://host:x", "http://host:0"),
        *("http://[::1", "http://ho st", "http://h\u00f6st", "javascript:alert(1)"),
    ],
)
def test_a_bad_base_url_names_its_variable_and_shows_nothing(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^POLYGON_BASE_URL: ") as caught:
        checked_base_url(text, "POLYGON_BASE_URL")
    assert "sekret" not in str(caught.value)


def test_a_request_may_not_outlive_its_lease() -> None:
    def never() -> Any:
        pytest.fail("nothing is connected")

    limiter = PostgresLimiter(never, "polygon", 5, lease_s=60)
    with pytest.raises(ValueError, match="lease"):
        Transport(
            "http://127.0.0.1:1",
            name="polygon",
            key=Secret("k", "POLYGON_API_KEY"),
            limiter=limiter,
            record=lambda _record: None,
        )


def test_a_proxy_of_the_environment_is_not_used_for_loopback(
    wire: Any, talk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    wire.script(wire.reply(GOOD))
    assert isinstance(talk().limiter, Unlimited)
    assert get(talk()) == GOOD
