"""The key goes into one header and nowhere else."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import
from __future__ import annotations

import logging
import pickle
import traceback
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from resources.providers.endpoint import Secret
from resources.providers.polygon.bars import PolygonClient
from resources.providers.replies import Parsed, Request
from swiftbolt_assets.cli.unexpected import describe
from swiftbolt_assets.errors import ConfigurationError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "sekret-Key_0123456789"
DAYS = date(2025, 7, 1), date(2025, 7, 3)
T = 1751376600000


def page(wire: Any, key_in_id: str = "id") -> dict[str, Any]:
    path = f"/v2/aggs/ticker/AAPL/range/15/minute/{T + 900_000}/2025-07-03"
    return {
        "ticker": "AAPL",
        "queryCount": 15,
        "resultsCount": 1,
        "adjusted": False,
        "results": [{"t": T, "o": 2, "h": 3, "l": 1, "c": 2, "v": 5}],
        "status": "OK",
        "request_id": key_in_id,
        "next_url": f"{wire.url}{path}?cursor=x&apiKey={KEY}&token={KEY}&ApiKey={KEY}",
    }


HOSTILE = {
    "401 that repeats the key": lambda wire: [
        wire.reply({"status": "ERROR", "error": f"Unknown API Key {KEY}"}, status=401)
    ],
    "400 that repeats the key": lambda wire: [wire.reply({"error": KEY}, status=400)],
    "500 that repeats the key": lambda wire: [wire.reply({"error": KEY}, status=500)],
    "broken status line": lambda _wire: [f"{KEY} {KEY}\r\n\r\n".encode()],
    "link with the key": lambda wire: [wire.reply(page(wire)), wire.reply(b"", status=503)],
    "link to elsewhere": lambda wire: [
        wire.reply(page(wire) | {"next_url": f"http://{KEY}.example/{KEY}?apiKey={KEY}"})
    ],
    "link to another path": lambda wire: [
        wire.reply(page(wire) | {"next_url": f"{wire.url}/{KEY}"})
    ],
    "request id with the key": lambda wire: [wire.reply(page(wire, KEY)), wire.reply(b"{}")],
    "status with the key": lambda wire: [wire.reply({"status": KEY, "count": 0})],
    "wrong field with the key": lambda wire: [wire.reply({"status": "OK", "count": KEY})],
    "redirect with the key": lambda wire: [
        wire.reply(b"", status=302, Location=f"http://x.example/?apiKey={KEY}")
    ],
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_the_key_is_in_no_log_record_error_or_url(
    fault: str, wire: Any, talk: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Logs at DEBUG, httpx's and httpcore's too, errors with their traces, records, answers."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "stamina"):
        caplog.set_level(logging.DEBUG, logger=name)
    wire.script(*HOSTILE[fault](wire))
    one = talk(attempts=2)
    seen = [repr(one.transport), repr(vars(one.transport)), str(one.transport.key)]
    try:
        answer = PolygonClient(one.transport).fetch("AAPL", *DAYS, priority=100)
        seen.append(f"{answer!r} {answer.broken_off}")
    except ProviderError as error:
        seen.append("".join(traceback.format_exception(error)))
        seen.append(f"{error!r} {error.__cause__!r}")
    seen.append(repr(one.records))
    # A reply's own headers are not ours to write; httpcore's DEBUG shows them as they came.
    logs = [
        record.getMessage()
        for record in caplog.records
        if "receive_response_headers.complete" not in record.getMessage()
        and "RemoteProtocolError" not in record.getMessage()
    ]
    assert logs
    for text in (*seen, *logs):
        assert KEY not in text
    for head in wire.heads:
        assert KEY not in head.split("\r\n")[0]
        assert head.count(KEY) == 1
        assert f"Authorization: Bearer {KEY}\r\n" in head


def test_a_key_among_the_parameters_is_not_sent(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply({}))
    request = Request("/", (("apiKey", KEY), ("TOKEN", KEY), ("x", "1")))
    talk().transport.conversation(None, priority=1).get(request, Parsed)
    assert wire.heads[0].startswith("GET /?x=1 HTTP")


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(KEY, "POLYGON_API_KEY")
    assert {repr(secret), str(secret), f"{secret}", f"{secret!s}"} == {"***"}
    assert repr({"key": secret, "list": [secret]}) == "{'key': ***, 'list': [***]}"
    assert not hasattr(secret, "__dict__")
    assert secret.redact(f"a {KEY} b") == "a *** b"
    assert secret.reveal() == KEY


def test_a_secret_survives_the_way_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Secret(KEY, "X"))).reveal() == KEY  # noqa: S301 - our own bytes


@pytest.mark.parametrize("text", ["", " ", "a b", "a\nb", "a\r\nX: y", "schl\u00fcssel", "\x00"])
def test_a_key_that_no_header_can_carry_names_its_variable_only(text: str) -> None:
    """The transport below would show the header in its error."""
    with pytest.raises(ConfigurationError, match=r"^POLYGON_API_KEY: ") as caught:
        Secret(text, "POLYGON_API_KEY")
    assert not text.strip() or text not in str(caught.value)


@pytest.mark.parametrize("name", ["POLYGON_API_KEY", "MASSIVE_API_KEY", "TRADIER_TOKEN"])
def test_an_unforeseen_error_shows_no_key_by_any_of_its_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIFTBOLT_HOME", str(tmp_path))
    monkeypatch.setenv(name, KEY)
    assert KEY not in describe(RuntimeError(f"it said {KEY}"))
    assert KEY not in (tmp_path / "log" / "errors.log").read_text("utf-8")
