"""`swiftbolt doctor` where there is no installation to look at."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from swiftbolt_assets.cli.commands.doctor import calendar_finding

pytestmark = pytest.mark.slow


def test_a_wrong_setting_is_a_finding(shell: Any) -> None:
    done = shell.run("doctor", SWIFTBOLT_NOW="tomorrow")
    assert done.code == 1
    assert "BAD  settings   SWIFTBOLT_NOW: " in done.out


def test_a_home_that_cannot_be_is_a_finding(shell: Any) -> None:
    shell.home.write_text("a file")
    done = shell.run("doctor")
    shell.home.unlink()
    assert done.code == 1
    assert "BAD  home       SWIFTBOLT_HOME: " in done.out
    assert "Traceback" not in done.err


def test_a_calendar_that_ends_within_a_year_is_a_finding() -> None:
    last = date(2030, 12, 31)
    assert calendar_finding(date(2029, 12, 30), last).good
    found = calendar_finding(date(2029, 12, 31), last)
    assert not found.good
    assert found.text.startswith(
        "the exchange's sessions are known to 2030-12-31; upgrade swiftbolt"
    )


def test_what_peoples_tokens_must_name_is_shown_and_no_secret_is(shell: Any) -> None:
    shell.home.write_text("a file")
    named = {"SWIFTBOLT_JWT_ISSUER": "https://tenant.example/", "SWIFTBOLT_JWT_AUDIENCE": "bars"}
    keys = {"SWIFTBOLT_JWKS_URL": "https://tenant.example/jwks.json"}
    secret = {"SWIFTBOLT_JWT_SECRET": "a-secret-of-the-tests-that-is-long-enough"}
    told = shell.run("doctor", **named, **keys, **secret).out
    plain = shell.run("doctor").out
    wrong = shell.run("doctor", SWIFTBOLT_JWT_ISSUER="two words").out
    shell.home.unlink()
    assert "keys at https://tenant.example/jwks.json; issuer https://tenant.example/, aud" in told
    assert "audience bars" in told
    assert secret["SWIFTBOLT_JWT_SECRET"] not in told
    assert "issuer any, audience authenticated" in plain
    assert "BAD  settings   SWIFTBOLT_JWT_ISSUER: it holds blanks" in wrong


def test_a_database_that_does_not_answer_is_a_finding_without_its_password(shell: Any) -> None:
    url = "postgresql://someone:top-secret@127.0.0.1:1/bars"
    done = shell.run("doctor", SWIFTBOLT_DATABASE_URL=url)
    assert done.code == 1
    assert "BAD  database" in done.out
    assert "top-secret" not in done.out + done.err
    refused = shell.run("status", SWIFTBOLT_DATABASE_URL=url)
    assert refused.code == 1
    assert "top-secret" not in refused.one_line()


def test_every_commands_help_fits_the_terminal(shell: Any) -> None:
    listing = shell.run("--help", COLUMNS="80")
    assert listing.code == 0
    assert "..." not in listing.out.partition("Commands:")[2]
    names = [line.split()[0] for line in listing.out.partition("Commands:\n")[2].splitlines()]
    assert {"backfill", "coverage", "demo", "doctor", "env", "migrate", "status", "up"} <= {*names}
    for name in names:
        done = shell.run(name, "--help", COLUMNS="80")
        assert done.code == 0
        assert done.out.startswith(f"Usage: swiftbolt {name}")
        assert max(map(len, done.out.splitlines())) <= 80
    assert not shell.home.exists()
