"""Text on the wire: numbers as the providers print them, replies, and pages of bars.

What belongs here: Go's and Java's spelling of numbers, JSON and XML text, the records that pass
from a provider's endpoints to the server. What does not: what one provider answers (`polygon.py`,
`tradier.py`), how an answer is spoilt (`faults.py`), HTTP itself (`app.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

JSON = "application/json"
_EXPONENT_FROM = 1e6

#: One bar as it will be printed: JSON tokens by key, in the order of the wire.
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to a provider, without its key.

    Attributes:
        path: as sent.
        params: the query, key removed; of a repeated name the last one counts.
        accept: the header `Accept`, or empty.
        origin: scheme and host under which this server was asked; links begin with it.

    """

    path: str
    params: Mapping[str, str]
    accept: str
    origin: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BarPage:
    """A page of bars before it is printed, so that a fault can spoil it.

    Attributes:
        rows: the bars.
        prices: the row's keys of open, high, low, close.
        volume: the row's key of the volume.
        moved: a copy of a row, moved by so many minutes.
        print_page: the reply for a page.
        ticker: the echo, or empty where the format has none.
        next_url: the link to the next page, or None.
        own_url: the link to this page.
        base_count: `queryCount`.
        null_rows: whether the list of bars is printed as null.

    """

    rows: list[Row]
    prices: tuple[str, str, str, str]
    volume: str
    moved: Callable[[Row, int], Row]
    print_page: Callable[[BarPage], Reply]
    ticker: str = ""
    next_url: str | None = None
    own_url: str = ""
    base_count: int = 0
    null_rows: bool = False


def go_number(value: float) -> str:
    """Return a number as Go's `%g` prints it: exponents from 1e6 up, no trailing zeros."""
    text = repr(float(value))
    if abs(value) < _EXPONENT_FROM or "e" in text:
        return text.removesuffix(".0")
    sign, digits = ("-", text[1:]) if value < 0 else ("", text)
    whole, _, fraction = digits.partition(".")
    mantissa = (whole[0] + "." + whole[1:] + fraction).rstrip("0").rstrip(".")
    return f"{sign}{mantissa}e+{len(whole) - 1:02d}"


def plain_number(value: float) -> str:
    """Return a number without an exponent and without a trailing `.0`."""
    return repr(float(value)).removesuffix(".0")


def json_text(value: object) -> str:
    """Return compact JSON, floats in Go's spelling."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, float):
        return go_number(value)
    return json.dumps(value, ensure_ascii=False)


def json_row(row: Row) -> str:
    """Return one bar as a JSON object."""
    return "{" + ",".join([f'"{key}":{token}' for key, token in row.items()]) + "}"


def json_reply(value: object, status: int = 200) -> Reply:
    """Return a reply with a JSON body."""
    return Reply(status, json_text(value).encode())


def xml_text(value: Mapping[str, object]) -> str:
    """Return the XML of nested dicts: a list repeats its element, null is an empty element."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(
        _element(name, item) for name, item in value.items()
    )


def _element(name: str, value: object) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if value is None:
        return f"<{name}/>"
    if isinstance(value, dict):
        inner = "".join(_element(key, item) for key, item in value.items())
    elif isinstance(value, bool):
        inner = str(value).lower()
    else:
        inner = plain_number(value) if isinstance(value, float) else escape(str(value))
    return f"<{name}>{inner}</{name}>"
