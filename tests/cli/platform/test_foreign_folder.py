"""Started in a folder of hostile modules, nothing of ours imports one, nor takes a setting there.

The folder has a module for each of Python's own, of the installed packages and of ours; each
writes down that it was imported, and ends its process. The tests share one platform.
"""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import
from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

SWIFTBOLT = (str(Path(sys.executable).with_name("swiftbolt")),)
DAGSTER = (str(Path(sys.executable).with_name("dagster")),)
#: The settings of somebody else's project.
ENV_FILE = "POLYGON_API_KEY=somebody-elses-key-0123\nSWIFTBOLT_SHARDS=7\n"
DEFINITIONS = ("-m", "swiftbolt_assets.definitions")


def hostile(name: str, folder: Path) -> str:
    """Return the text of a module that tells of itself, with builtins alone."""
    return (
        f"open({str(folder / 'imported')!r}, 'a').write({name!r} + '\\n')\n"
        f"raise SystemExit('{name} of a foreign folder was imported')\n"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("foreign")
    names = {*sys.stdlib_module_names, *packages_distributions(), "gql", "celeryconfig", "conftest"}
    for name in filter(str.isidentifier, names - {"swiftbolt_assets", "resources", "sensors"}):
        (made / f"{name}.py").write_text(hostile(name, made), "utf-8")
    for name in ("resources", "sensors"):
        (made / name).mkdir()
        (made / name / "__init__.py").write_text(hostile(name, made), "utf-8")
    (made / "pyproject.toml").write_text('[tool.dagster]\nmodule_name = "calendar"\n')
    (made / "workspace.yaml").write_text("load_from:\n- python_file: calendar.py\n")
    (made / "dagster.yaml").write_text("storage: {nonsense: true}\n")
    (made / ".env").write_text(ENV_FILE)
    return made


@pytest.fixture(scope="module")
def shell(new_settled: Callable[..., Any]) -> Any:
    return new_settled(SWIFTBOLT_BACKGROUND="false")


@pytest.fixture(scope="module", autouse=True)
def up(
    shell: Any, folder: Path, module_port_offset: str, wait_for: Callable[..., Any]
) -> Iterator[Any]:
    log = ("up", "--port-offset", module_port_offset)
    process = shell.start(*log, argv=SWIFTBOLT, cwd=folder)

    def runs() -> bool:
        assert process.poll() is None, process.communicate()
        done = shell.run("status", "--json", argv=SWIFTBOLT, cwd=folder)
        return done.code == 0 and done.json["platform"] == "running"

    wait_for(runs, "the platform runs", 120)
    yield process
    process.terminate()
    process.communicate(timeout=60)


def test_a_platform_and_its_runs_import_nothing_of_it(shell: Any, folder: Path) -> None:
    days = ("--from", "2026-11-16", "--to", "2026-11-19")
    done = shell.run("backfill", "AAPL", *days, "--json", argv=SWIFTBOLT, cwd=folder)
    assert done.code == 0, done.err
    assert done.json["simulated"]
    assert not (folder / "imported").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        ("migrate",),
        ("live", "AAPL", "--once"),
        ("coverage", "AAPL"),
        ("prove", "AAPL"),
        ("monitor",),
        ("track", "MSFT", "--source", "watchlist"),
        ("jobs", "set", "MSFT", "--disabled"),
    ],
    ids=" ".join,
)
def test_no_command_imports_anything_of_it(
    shell: Any, folder: Path, command: tuple[str, ...]
) -> None:
    done = shell.run(*command, argv=SWIFTBOLT, cwd=folder)
    assert done.code == 0, done.err
    assert not (folder / "imported").exists()


def test_an_empty_entry_of_pythonpath_changes_nothing(shell: Any, tmp_path: Path) -> None:
    """Before our first line Python itself imports a few; these are not among them."""
    for name in ("calendar", "gql", "json", "click", "dagster", "resources", "sensors"):
        (tmp_path / f"{name}.py").write_text(hostile(name, tmp_path), "utf-8")
    days = ("--from", "2026-11-12", "--to", "2026-11-13", "--json")
    for entries in (":", ":/nowhere", "."):
        done = shell.run("status", "--json", argv=SWIFTBOLT, cwd=tmp_path, PYTHONPATH=entries)
        assert done.code == 0, done.err
    done = shell.run("backfill", "AAPL", *days, argv=SWIFTBOLT, cwd=tmp_path, PYTHONPATH=":")
    assert done.code == 0, done.err
    assert not (tmp_path / "imported").exists()


def test_dagsters_commands_import_nothing_of_it_and_tell_of_its_settings(
    shell: Any, folder: Path
) -> None:
    exported = shell.run("env", argv=SWIFTBOLT, cwd=folder)
    assert exported.code == 0, exported.err
    (folder / "exports").write_text(exported.out)
    asset = (*DEFINITIONS, "--select", "m15_bars,h1_bars,h4_bars", "--partition", "2026-11-17|AAPL")
    for arguments in (("definitions", "validate", *DEFINITIONS), ("asset", "materialize", *asset)):
        done = shell.run(
            "-c", '. ./exports; exec "$0" "$@"', *DAGSTER, *arguments, argv=("sh",), cwd=folder
        )
        assert not (folder / "imported").exists()
        assert f"{folder / '.env'}: Dagster takes POLYGON_API_KEY, SWIFTBOLT_SHARDS" in done.err
        assert "somebody-elses" not in done.out + done.err
