"""The spelling of numbers and XML."""

from __future__ import annotations

import pytest

from swiftbolt_assets.simulator.wire import go_number, json_text, xml_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # As recorded from the real service.
        (112117471.0, "1.12117471e+08"),
        (1029145.0, "1.029145e+06"),
        (89100633.0, "8.9100633e+07"),
        (633567.0, "633567"),
        (38568921.672138, "3.8568921672138e+07"),
        (9099.618093, "9099.618093"),
        (125.725, "125.725"),
        (18.0, "18"),
        # As Go's strconv prints them.
        (1e6, "1e+06"),
        (999999.5, "999999.5"),
        (-1500000.0, "-1.5e+06"),
        (0.00001, "1e-05"),
    ],
)
def test_numbers_are_spelled_as_go_prints_them(value: float, text: str) -> None:
    assert go_number(value) == text
    assert float(text) == value


def test_json_is_compact_and_keeps_the_order_of_keys() -> None:
    value = {"b": 1, "a": [2500000.0, None, True, "é"], "c": {}}
    assert json_text(value) == '{"b":1,"a":[2.5e+06,null,true,"é"],"c":{}}'


def test_xml_repeats_lists_and_escapes_text() -> None:
    value = {"series": {"data": [{"x": 1.0}, {"x": "<&"}]}}
    assert xml_text(value).endswith(
        "<series><data><x>1</x></data><data><x>&lt;&amp;</x></data></series>"
    )
    assert xml_text({"series": None}).endswith("<series/>")
