"""The API's description is true: what it allows is answered as it says, with any key or none."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.fixture
def filled(api: Any) -> Any:
    """Return the API with a symbol that has bars, a queue, and a person's things."""
    api.post("ensure-coverage", {"symbol": "AAPL", "timeframe": "m15", "window_days": 60})
    api.fill("AAPL", api.days(10))
    api.trade_today("AAPL")
    api.post("watchlist-sync", {"action": "add", "symbol": "AAPL"})
    return api


@pytest.mark.parametrize("who", ["service", "anon", "nobody"])
def test_every_operation_answers_as_described(filled: Any, tmp_path: Path, who: str) -> None:
    key = {"service": filled.keys.service, "anon": filled.keys.anon, "nobody": None}[who]
    # A stream has no end.
    choices = ["--exclude-path=/functions/v1/events", f"--checks={','.join(CHECKS)}"]
    bounds = ["--phases=examples,coverage,fuzzing", "--max-examples=8", "--seed=1", "--no-shrink"]
    quiet = ["--no-color", "--continue-on-failure", "--warnings=off", "--request-timeout=20"]
    header = [] if key is None else ["-H", f"Authorization: Bearer {key}"]
    done = subprocess.run(
        [
            str(SCHEMATHESIS),
            "run",
            f"{filled.url}/openapi.json",
            *choices,
            *bounds,
            *quiet,
            *header,
        ],
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "Tested" in done.stdout or "passed" in done.stdout


def test_the_description_names_every_function_once_and_no_status_that_is_never_given(
    api: Any,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = api.get("/openapi.json", key=None).json
    functions = {path for path in told["paths"] if path.startswith("/functions/v1/")}
    assert {path.rpartition("/")[2] for path in functions} == {
        "ensure-coverage", "coverage", "sync-user-symbols", "watchlist-sync", "chart-data-v2",
        "chart", "symbols-search", "quotes", "orchestrator", "fetch-bars", "events",
        "user-refresh", "reload-watchlist-data", "market-status",
    }  # fmt: skip
    for path in functions:
        for operation in told["paths"][path].values():
            assert "422" not in operation["responses"]
            assert {"200", "400", "401", "413", "503"} <= set(operation["responses"])
            assert operation["security"] == [{"bearer": []}, {"apikey": []}]
            assert operation["summary"]
    assert "HTTPValidationError" not in told["components"]["schemas"]
