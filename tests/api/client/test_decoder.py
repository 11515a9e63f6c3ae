"""The decoder refuses what the client would refuse: else the contract tests prove nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRESS = {
    "total_slices": 10, "completed_slices": 1, "running_slices": 1, "queued_slices": 8,
    "failed_slices": 0, "progress_percent": 10, "bars_written": 1300,
}  # fmt: skip


def shape_of(bar: object) -> dict[str, object]:
    return {"x": bar}


def one_of(kind: object) -> None:
    assert type(kind) is int


@pytest.mark.parametrize(
    "spoiled", [{"failed_slices": None}, {"bars_written": 1.0}, {"total_slices": "10"}]
)
def test_a_progress_field_that_is_no_integer_is_refused(
    decoded: Callable[[bytes, Any], Any], spoiled: dict[str, object]
) -> None:
    shape = dict.fromkeys(PROGRESS, one_of)
    assert decoded(json.dumps(PROGRESS).encode(), shape) == PROGRESS
    with pytest.raises(AssertionError, match=next(iter(spoiled))):
        decoded(json.dumps(PROGRESS | spoiled).encode(), shape)
    with pytest.raises(AssertionError, match="missing"):
        decoded(b"{}", shape)


@pytest.mark.parametrize("body", [b'{"x": NaN}', b'{"x": 1, "x": 2}', b"[]"])
def test_what_is_no_json_object_of_numbers_is_refused(
    decoded: Callable[[bytes, Any], Any], body: bytes
) -> None:
    with pytest.raises(AssertionError):
        decoded(body, shape_of(one_of))


def test_an_optional_field_may_be_absent_or_null(decoded: Callable[[bytes, Any], Any]) -> None:
    assert decoded(b"{}", {"x?": one_of}) == {}
    assert decoded(b'{"x": null}', {"x?": one_of}) == {"x": None}
    with pytest.raises(AssertionError):
        decoded(b'{"x": "1"}', {"x?": one_of})
