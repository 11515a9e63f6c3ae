"""The API's keys: made once on loopback, demanded everywhere else."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from swiftbolt_assets.api.keys import ApiKeys, api_keys
from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GIVEN = {
    "SWIFTBOLT_ANON_KEY": "an-anon-key-of-the-tests",
    "SWIFTBOLT_SERVICE_KEY": "a-service-key-of-the-tests",
    "SWIFTBOLT_JWT_SECRET": "a-secret-of-the-tests-that-is-long-enough",
}


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    return lambda **environ: read_settings({"SWIFTBOLT_HOME": str(tmp_path / "home"), **environ})


def demo_key() -> str:
    """Return a token such as Supabase prints in its guides."""
    claims = base64.urlsafe_b64encode(json.dumps({"iss": "supabase-demo"}).encode()).decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{claims.rstrip('=')}.signature-of-the-demo-key"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_missing_keys_are_made_once_for_their_owner_alone(
    settings: Callable[..., Settings], tmp_path: Path, host: str
) -> None:
    keys = api_keys(settings(), host)
    path = tmp_path / "home" / "api_keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert api_keys(settings(), host) == keys
    assert min(map(len, (keys.anon, keys.service, str(keys.jwt_secret)))) >= 32
    assert len({keys.anon, keys.service, keys.jwt_secret}) == 3
    assert [one.name for one in path.parent.iterdir()] == ["api_keys.json"]


def test_the_environments_keys_win(settings: Callable[..., Settings]) -> None:
    made = api_keys(settings(), "127.0.0.1")
    found = api_keys(settings(SWIFTBOLT_ANON_KEY=GIVEN["SWIFTBOLT_ANON_KEY"]), "127.0.0.1")
    assert found == ApiKeys(GIVEN["SWIFTBOLT_ANON_KEY"], made.service, made.jwt_secret)
    assert api_keys(settings(**GIVEN), "0.0.0.0") == ApiKeys(*GIVEN.values())  # noqa: S104


def test_starts_at_once_agree_on_their_keys(settings: Callable[..., Settings]) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: api_keys(settings(), "127.0.0.1"), range(32)))
    assert len({key.anon for key in found}) == 1
    assert len({key.jwt_secret for key in found}) == 1


def test_processes_that_start_at_once_agree_on_their_keys(tmp_path: Path) -> None:
    script = (
        "from swiftbolt_assets.api.keys import api_keys\n"
        "from swiftbolt_assets.settings import read_settings\n"
        "input()\n"
        "print(api_keys(read_settings(), '127.0.0.1').service)\n"
    )
    environment = dict(os.environ) | {"SWIFTBOLT_HOME": str(tmp_path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = {process.communicate(timeout=60)[0].strip() for process in started}
    assert len(said) == 1
    assert len(said.pop()) >= 32


@pytest.mark.parametrize(
    ("changes", "named", "reason"),
    [
        ({"SWIFTBOLT_ANON_KEY": ""}, "SWIFTBOLT_ANON_KEY", "set it"),
        ({"SWIFTBOLT_SERVICE_KEY": ""}, "SWIFTBOLT_SERVICE_KEY", "set it"),
        ({"SWIFTBOLT_JWT_SECRET": ""}, "SWIFTBOLT_JWT_SECRET", "SWIFTBOLT_JWKS_URL"),
        ({"SWIFTBOLT_ANON_KEY": "short"}, "SWIFTBOLT_ANON_KEY", "shorter than 16"),
        ({"SWIFTBOLT_JWT_SECRET": "x" * 31}, "SWIFTBOLT_JWT_SECRET", "shorter than 32"),
        (
            {"SWIFTBOLT_SERVICE_KEY": GIVEN["SWIFTBOLT_ANON_KEY"]},
            "SWIFTBOLT_SERVICE_KEY",
            "equals SWIFTBOLT_ANON_KEY",
        ),
        (
            {"SWIFTBOLT_ANON_KEY": GIVEN["SWIFTBOLT_JWT_SECRET"]},
            "SWIFTBOLT_JWT_SECRET",
            "equals one of the keys",
        ),
        (
            {"SWIFTBOLT_JWT_SECRET": "super-secret-jwt-token-with-at-least-32-characters-long"},
            "SWIFTBOLT_JWT_SECRET",
            "published default",
        ),
        ({"SWIFTBOLT_ANON_KEY": demo_key()}, "SWIFTBOLT_ANON_KEY", "published default"),
    ],
)
def test_beyond_loopback_every_key_is_given_and_is_no_common_one(
    settings: Callable[..., Settings], changes: dict[str, str], named: str, reason: str
) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org"):  # noqa: S104 - refused
        with pytest.raises(ConfigurationError, match=reason) as caught:
            api_keys(settings(**GIVEN | changes), host)
        assert str(caught.value).startswith(f"{named}: ")
        assert not any(value in str(caught.value) for value in GIVEN.values())


def test_keys_that_are_the_same_are_refused_on_loopback_too(
    settings: Callable[..., Settings],
) -> None:
    """Whoever holds the app's key would be the operator."""
    same: dict[str, Any] = dict.fromkeys(("SWIFTBOLT_ANON_KEY", "SWIFTBOLT_SERVICE_KEY"), "x" * 40)
    with pytest.raises(ConfigurationError, match="SWIFTBOLT_SERVICE_KEY: it equals"):
        api_keys(settings(**same), "127.0.0.1")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", "{}", '{"anon": "a", "service": "b", "jwt_secret": "c"}', "\xff"]
)
def test_a_damaged_file_of_keys_is_named_with_a_remedy(
    settings: Callable[..., Settings], tmp_path: Path, text: str
) -> None:
    path = tmp_path / "home" / "api_keys.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=re.escape(str(path))) as caught:
        api_keys(settings(), "127.0.0.1")
    assert "delete it" in str(caught.value)


def test_a_home_that_cannot_be_written_is_named(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "api_keys.json").mkdir()
    with pytest.raises(ConfigurationError, match="SWIFTBOLT_HOME: "):
        api_keys(settings(), "127.0.0.1")


def test_serving_beyond_loopback_without_keys_ends_in_one_line(tmp_path: Path) -> None:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SWIFTBOLT_")}
    done = subprocess.run(
        [sys.executable, "-m", "swiftbolt_assets.cli.main", "serve", "--host", "0.0.0.0"],  # noqa: S104
        env=kept | {"SWIFTBOLT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("swiftbolt: SWIFTBOLT_ANON_KEY: set it")
