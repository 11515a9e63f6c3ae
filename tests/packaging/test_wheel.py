"""What is built, installed and started is the product, all of it and nothing else."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

import resources
import sensors
import swiftbolt_assets

if TYPE_CHECKING:
    Completed: TypeAlias = subprocess.CompletedProcess[str]

PROJECT = Path(__file__).parents[2]
PACKAGES = {"resources", "sensors", "swiftbolt_assets"}


VENDOR = "swiftbolt_assets/api/page/vendor"
LOCK = PROJECT / "swiftbolt_assets/api/page/package-lock.json"


def attempt(*command: str | Path, cwd: Path = PROJECT, **environment: str) -> Completed:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command,
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run(*command: str | Path, cwd: Path = PROJECT) -> str:
    done = attempt(*command, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


UV = (sys.executable, PROJECT / ".ci" / "bootstrap_uv.py")


def uv(*arguments: str | Path) -> str:
    return run(*UV, *arguments)


def vendored(wheel: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that the wheel has from npm."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name.removeprefix(f"{VENDOR}/"): hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if name.startswith(f"{VENDOR}/")
        }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--quiet", "--out-dir", folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the unpacked source distribution, in which no build has run yet."""
    folder = tmp_path_factory.mktemp("source")
    uv("build", "--sdist", "--quiet", "--out-dir", folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the `bin` of an environment that holds the wheel and its locked requirements only."""
    folder = tmp_path_factory.mktemp("installed")
    requirements = folder / "requirements.txt"
    uv("export", "--frozen", "--no-default-groups", "--no-emit-project", "-qo", requirements)
    environment = folder / "environment"
    uv("venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", python, "-r", requirements)
    uv("pip", "install", "--quiet", "--python", python, "--no-deps", wheel)
    return python.parent


def steps(dockerfile: Path) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions with what follows each."""
    text = dockerfile.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


@pytest.fixture(scope="module")
def image(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Replay the Dockerfile in empty folders; the environment that its commands would have."""
    context, root = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("root")
    (context / "dist").mkdir()
    shutil.copy(wheel, context / "dist")
    extras = ("--extra", "celery", "--extra", "k8s")
    options = ("--frozen", "--no-default-groups", *extras, "--no-emit-project")
    uv("export", *options, "-qo", context / "dist" / "requirements.txt")
    (root / "bin").mkdir()
    (root / "bin" / "python").symlink_to(Path(getattr(sys, "_base_executable", sys.executable)))
    inherited = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    inherited.pop("VIRTUAL_ENV", None)
    environment = inherited | {"PATH": f"{root / 'bin'}:/usr/bin:/bin"}
    for word, rest in steps(PROJECT / "Dockerfile"):
        if word in {"ARG", "ENV"}:
            for pair in rest.split():
                name, _, value = pair.partition("=")
                for known in ("PREFIX", "PATH"):
                    value = value.replace(f"${known}", environment.get(known, ""))
                # Absolute folders of the image lie below the root.
                is_folder = value.startswith("/") and not value.startswith(str(root))
                environment[name] = f"{root}{value}" if is_folder else value
        elif word == "COPY":
            *sources, target = rest.replace("$PREFIX", environment["PREFIX"]).split()
            Path(target).mkdir(parents=True)
            for pattern in sources:
                (found,) = context.glob(pattern)
                shutil.copy(found, target)
        elif word == "RUN":
            # Compiling all of it takes longer than installing.
            environment["UV_COMPILE_BYTECODE"] = "0"
            done = subprocess.run(
                ["sh", "-euc", rest],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (rest, done.stderr)
    return environment


@pytest.mark.slow
def test_the_dockerfile_makes_an_environment_for_every_profile(
    image: dict[str, str], tmp_path: Path
) -> None:
    words = {word for word, _ in steps(PROJECT / "Dockerfile")}
    assert words == {"FROM", "ARG", "COPY", "RUN", "ENV", "USER", "CMD"}
    command = shutil.which("swiftbolt", path=image["PATH"])
    assert command == f"{image['PREFIX']}/venv/bin/swiftbolt"
    assert sorted(path.name for path in Path(image["PREFIX"]).iterdir()) == ["venv"]
    url = "redis://127.0.0.1:1/0"
    celery = image | {"SWIFTBOLT_PROFILE": "celery", "SWIFTBOLT_BROKER_URL": url}
    done = subprocess.run(
        [command, "worker"], cwd=tmp_path, env=celery, capture_output=True, text=True, check=False
    )
    assert f"{url} does not answer" in done.stderr
    python = Path(command).with_name("python")
    loaded = "import dagster_k8s, swiftbolt_assets.definitions as d; print(d.__file__)"
    told = subprocess.run(
        [python, "-c", loaded], cwd=tmp_path, env=image, capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith(image["PREFIX"])


@pytest.mark.slow
def test_the_wheel_holds_exactly_the_three_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == PACKAGES | {"swiftbolt-0.2.0.dist-info"}


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_three_packages(wheel: Path) -> None:
    ours = {
        path.relative_to(PROJECT).as_posix()
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"swiftbolt_assets/market/xnys.json", "swiftbolt_assets/migrations/env.py"} <= ours
    assert any(name.endswith(".sql") for name in ours)
    with zipfile.ZipFile(wheel) as archive:
        assert ours <= set(archive.namelist())


@pytest.mark.slow
def test_the_wheel_holds_the_web_charts_libraries_with_their_licences(wheel: Path) -> None:
    assert {
        "lightweight-charts.js",
        "lightweight-charts.LICENSE.txt",
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "swagger-ui.LICENSE.txt",
        "swagger-ui.NOTICE.txt",
    } <= set(vendored(wheel))


@pytest.mark.slow
def test_the_source_distribution_builds_the_same_libraries(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    assert not (source / VENDOR).exists()
    uv("build", "--wheel", "--quiet", "--out-dir", tmp_path, source)
    assert vendored(next(tmp_path.glob("*.whl"))) == vendored(wheel)


@pytest.mark.slow
def test_without_the_npm_registry_a_build_says_so_in_one_line(source: Path, tmp_path: Path) -> None:
    shutil.rmtree(source / VENDOR, ignore_errors=True)
    command = (*UV, "build", "--wheel", "--out-dir", tmp_path, source)
    done = attempt(*command, npm_config_registry="http://127.0.0.1:9/")
    assert done.returncode != 0
    (said,) = [line for line in done.stderr.splitlines() if "npm" in line]
    assert "cannot bring the web chart's libraries from npm" in said
    assert "127.0.0.1:9" in said
    assert "Traceback" not in done.stderr


def test_every_package_from_npm_is_locked_by_its_hash() -> None:
    packages = json.loads(LOCK.read_text())["packages"]
    of_others = {name: package for name, package in packages.items() if name}
    assert {"node_modules/lightweight-charts", "node_modules/swagger-ui-dist"} <= set(of_others)
    for package in of_others.values():
        assert package["integrity"].startswith("sha512-")


@pytest.mark.slow
def test_no_other_distribution_provides_a_name_of_ours(installed: Path) -> None:
    ask = "import importlib.metadata as m, json; print(json.dumps(m.packages_distributions()))"
    providers = json.loads(run(installed / "python", "-c", ask, cwd=installed))
    assert {name: providers[name] for name in PACKAGES} == {
        name: ["swiftbolt"] for name in PACKAGES
    }


@pytest.mark.slow
def test_the_installed_command_knows_its_commands_and_its_version(installed: Path) -> None:
    shown = run(installed / "swiftbolt", "--help", cwd=installed)
    for command in ("demo", "up", "migrate", "backfill", "coverage", "status", "simulate", "env"):
        assert f"\n  {command} " in shown
    assert run(installed / "swiftbolt", "--version", cwd=installed).strip().endswith("0.2.0")


@pytest.mark.slow
def test_the_installed_code_location_loads(installed: Path) -> None:
    command = ("definitions", "validate", "-m", "swiftbolt_assets.definitions")
    run(installed / "dagster", *command, cwd=installed)


def test_the_three_packages_come_from_this_project() -> None:
    for package in (resources, sensors, swiftbolt_assets):
        assert Path(str(package.__file__)).parents[1] == PROJECT


def test_nothing_in_the_test_environment_takes_our_names() -> None:
    providers = metadata.packages_distributions()
    for name in PACKAGES:
        assert set(providers.get(name, ["swiftbolt"])) == {"swiftbolt"}


def test_the_test_folders_take_no_package_name() -> None:
    assert not list((PROJECT / "tests").rglob("__init__.py"))
    assert not PACKAGES & {path.name for path in (PROJECT / "tests").iterdir()}


@pytest.mark.parametrize("arguments", [["--help"], ["backfill", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """`swiftbolt --help` is to answer in half a second, Dagster alone takes longer."""
    program = (
        "import sys\n"
        "from swiftbolt_assets.cli.main import main\n"
        f"sys.argv = ['swiftbolt', *{arguments!r}]\n"
        "try:\n    main()\n"
        "finally:\n    print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    loaded = run(sys.executable, "-c", program).splitlines()[-1].split()
    heavy = {"dagster", "polars", "numpy", "pandera", "pyarrow", "sqlalchemy", "psycopg", "httpx"}
    assert "click" in loaded
    assert not heavy & set(loaded)


def test_package_initialisers_hold_a_docstring_and_nothing_else() -> None:
    for package in PACKAGES:
        for path in (PROJECT / package).rglob("__init__.py"):
            (only,) = ast.parse(path.read_text()).body
            assert isinstance(only, ast.Expr), path


def test_the_lock_and_the_project_name_the_same_version() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    locked = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    (own,) = [package for package in locked if package["name"] == project["name"]]
    assert own["version"] == project["version"]
