"""`swiftbolt worker` and `swiftbolt env --profile`: what is missing is told in one line."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

NO_BROKER = "redis://someone:top-secret@127.0.0.1:1/0"
CELERY = {"SWIFTBOLT_PROFILE": "celery", "SWIFTBOLT_BROKER_URL": NO_BROKER}


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "told"),
    [
        ((), {}, 2, "SWIFTBOLT_PROFILE: it is local, and workers belong to the profile celery"),
        ((), {"SWIFTBOLT_PROFILE": "cellery"}, 2, "use local, celery or k8s"),
        ((), {"SWIFTBOLT_PROFILE": "celery"}, 2, "SWIFTBOLT_BROKER_URL: it is unset"),
        ((), CELERY, 1, "SWIFTBOLT_BROKER_URL: redis://127.0.0.1:1/0 does not answer"),
        (("--slots", "0"), CELERY, 2, "slots: '0' is out of range; use 1 to 1000"),
        (("--name", "a b"), CELERY, 2, "name: 'a b' is no name"),
    ],
)
def test_a_worker_that_cannot_work_says_why(
    shell: Any, arguments: tuple[str, ...], environment: dict[str, str], code: int, told: str
) -> None:
    done = shell.run("worker", *arguments, **environment)
    assert done.code == code
    line = done.one_line()
    assert told in line
    assert "top-secret" not in line
    assert not shell.home.exists()


def test_doctor_tells_that_the_broker_is_away_and_shows_no_password(shell: Any) -> None:
    assert shell.run("migrate").code == 0
    done = shell.run("doctor", **CELERY)
    assert done.code == 1
    assert "BAD  workers    SWIFTBOLT_BROKER_URL: redis://127.0.0.1:1/0 does not answer" in done.out
    assert "top-secret" not in done.out + done.err


def test_a_platform_does_not_start_under_k8s(shell: Any) -> None:
    done = shell.run("up", SWIFTBOLT_PROFILE="k8s")
    assert done.code == 2
    assert "under k8s the platform runs in a cluster" in done.one_line()


def test_a_profiles_files_are_written_where_they_are_wanted(shell: Any, tmp_path: Path) -> None:
    settings = {
        "SWIFTBOLT_IMAGE": "registry.example.com/swiftbolt:0.2.0",
        "SWIFTBOLT_DATABASE_URL": "postgresql://bolt:top-secret@pg.internal/bars",
    }
    folder = tmp_path / "deploy"
    done = shell.run("env", "--profile", "k8s", "--into", str(folder), **settings)
    assert done.code == 0, done.err
    names = ("dagster.yaml", "values.yaml", "api.yaml")
    assert done.out.splitlines() == [str(folder / name) for name in names]
    texts = {name: (folder / name).read_text() for name in names}
    assert "top-secret" not in "".join(texts.values())
    shown = shell.run("env", "--profile", "k8s", **settings)
    assert [text for text in texts.values() if text not in shown.out] == []
    refused = shell.run("env", "--profile", "k8s", "--into", "/dev/null/x", **settings)
    assert refused.code == 1
    assert "into: /dev/null/x cannot be written to" in refused.one_line()
    assert not shell.home.exists()


def test_the_profile_celery_is_printed_as_one_file(shell: Any) -> None:
    done = shell.run("env", "--profile", "celery", SWIFTBOLT_BROKER_URL=NO_BROKER)
    assert done.code == 0
    assert "top-secret" not in done.out
    assert yaml.safe_load(done.out)["run_launcher"]["class"] == "BeatingRunLauncher"
