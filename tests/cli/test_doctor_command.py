"""`swiftbolt doctor` where there is no installation to look at."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import Any

import pytest

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
