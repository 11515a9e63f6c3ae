"""How Swift's JSONDecoder reads a reply: as the app does, all of it or nothing.

A key that is missing or null where the type has no `?` fails the whole reply, of an array the whole
array. A kind is called with a value and its place, and returns what the app holds or raises.

What belongs here: the decoder. What does not: the app's types (`structs.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from uuid import UUID

Kind = Callable[[object, str], object]

_MOST = 2**63
#: ISO8601DateFormatter with `.withInternetDateTime`, with or without `.withFractionalSeconds`: a
#: zone always, of a second no digit or exactly three (OHLCBar.swift:19-42).
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)")
#: The same without options takes no fraction.
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")


class DecodingError(Exception):
    """The app refuses a reply; the line names the place and what stands there."""

    def __init__(self, place: str, value: object, kind: str) -> None:
        super().__init__(f"{place}: {value!r:.60} is no {kind}")


def string(value: object, place: str) -> str:
    """Read a `String`; a number is none."""
    if not isinstance(value, str):
        raise DecodingError(place, value, "String")
    return value


def integer(value: object, place: str) -> int:
    """Read an `Int`; a text is none, nor is a number with a fraction.

    3.0 is one: what is no plain integer is read as a Double and converted exactly
    (swift-foundation, JSONDecoder.swift, `_slowpath_unwrapFixedWidthInteger`).
    """
    number = value if isinstance(value, int) else double(value, place)
    if isinstance(value, bool) or not -_MOST <= number < _MOST or number != int(number):
        raise DecodingError(place, value, "Int")
    return int(number)


def double(value: object, place: str) -> float:
    """Read a `Double`; an integer is one, a text is none, nor is what exceeds it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise DecodingError(place, value, "Double")
    return float(value)


def boolean(value: object, place: str) -> bool:
    """Read a `Bool`: true or false, not 0 or 1."""
    if not isinstance(value, bool):
        raise DecodingError(place, value, "Bool")
    return value


def uuid(value: object, place: str) -> UUID:
    """Read a `UUID`, which is a text in its usual form."""
    text = string(value, place)
    try:
        found = UUID(text)
    except ValueError:
        raise DecodingError(place, value, "UUID") from None
    if str(found) != text.lower():
        raise DecodingError(place, value, "UUID")
    return found


def instant(value: object, place: str) -> datetime:
    """Read a bar's `Date`, which the app parses itself."""
    text = string(value, place)
    if not _INSTANT.fullmatch(text):
        raise DecodingError(place, value, "Date")
    return datetime.fromisoformat(text)


def plain_instant(text: str) -> datetime | None:
    """Return what the app's ISO8601DateFormatter without options makes of a text, None of most."""
    return datetime.fromisoformat(text) if _PLAIN.fullmatch(text) else None


def anything(value: object, _place: str) -> object:
    """Read what the app tries to read (`try?`), and does without."""
    return value


def integer_or_string(value: object, place: str) -> object:
    """Read what the app takes as either."""
    return value if isinstance(value, str) else integer(value, place)


@dataclass(frozen=True)
class Array:
    """An array; one element that is refused fails it.

    Attributes:
        of: what it holds.

    """

    of: Kind

    def __call__(self, value: object, place: str) -> list[object]:
        """Read it."""
        if not isinstance(value, list):
            raise DecodingError(place, value, "array")
        return [self.of(one, f"{place}[{number}]") for number, one in enumerate(value)]


@dataclass(frozen=True)
class Struct:
    """A struct; keys that it does not name are ignored.

    Attributes:
        source: file of the app and lines; without a state, the same in all that are named.
        fields: by key of the JSON; one that ends in `?` may be missing or null.

    """

    source: str
    fields: Mapping[str, Kind]

    def __call__(self, value: object, place: str) -> dict[str, object]:
        """Read it; what is missing or null is None."""
        if not isinstance(value, dict):
            raise DecodingError(place, value, f"struct ({self.source})")
        read: dict[str, object] = {}
        for name, kind in self.fields.items():
            key, where = name.removesuffix("?"), f"{place}.{name.removesuffix('?')}"
            if value.get(key) is not None:
                read[key] = kind(value[key], where)
            elif name.endswith("?"):
                read[key] = None
            else:
                what = "null" if key in value else "missing"
                raise DecodingError(where, what, f"value ({self.source})")
        return read


def decode(body: bytes, kind: Kind) -> object:
    """Return what the app holds after a reply.

    Raises:
        DecodingError: the app would show an error instead.

    """
    try:
        value = json.loads(body, parse_constant=_refused)
    except ValueError as error:
        raise DecodingError("reply", body[:60], "JSON") from error
    return kind(value, "reply")


def _refused(constant: str) -> object:
    raise ValueError(constant)
