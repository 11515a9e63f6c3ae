"""Run uv, brought into `.tools/` of the checkout first if the machine has none that is new enough.

The range of versions stands in pyproject.toml (`tool.uv.required-version`). Three ways are tried,
because a Python may come without venv and without pip: pip in a throw-away environment, the
machine's own pip, and a download whose SHA-256 the index vouches for. What belongs here: the
standard library only. What does not: what uv is then asked to do (`Makefile`).
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import html.parser
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import tomllib
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"
_SECONDS = 300


class BootstrapError(Exception):
    """One way to get uv failed; the message is one line."""


def main() -> None:
    """Replace this process by uv with the arguments given."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"][
        "required-version"
    ]
    try:
        program = find(required) or install(required)
    except (OSError, BootstrapError) as error:
        sys.exit(f"cannot bring uv into {str(TOOLS)!r}: {error}; or put uv{required} on PATH")
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    # Somebody else's active environment is not the project's; uv would only warn about it.
    environment.pop("VIRTUAL_ENV", None)
    if not _same_disk(ROOT, _cache(environment)):
        environment.setdefault("UV_LINK_MODE", "copy")  # files cannot be linked across disks
    os.execve(program, [program, *sys.argv[1:]], environment)  # noqa: S606 - no shell


def find(required: str) -> str | None:
    """Return the uv on PATH or in `.tools/` that is in the required range."""
    for candidate in (shutil.which("uv"), str(TOOLS / "uv")):
        if candidate and _answers(candidate, required):
            return candidate
    return None


def install(required: str) -> str:
    """Put uv into `.tools/`, once however many ask at the same time, and return its path."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if found := find(required):
            return found
        print(f"bringing uv{required} into {TOOLS}", file=sys.stderr)
        failures = []
        for way in (with_new_environment, with_own_pip, with_download):
            with tempfile.TemporaryDirectory(prefix="uv-", dir=TOOLS) as scratch:
                try:
                    program = way(required, Path(scratch))
                except (OSError, BootstrapError, subprocess.SubprocessError) as error:
                    failures.append(f"{way.__name__}: {error}")
                    continue
                if _answers(str(program), required):
                    program.replace(TOOLS / "uv")
                    return str(TOOLS / "uv")
                failures.append(f"{way.__name__}: the program does not run here")
        raise BootstrapError("; ".join(failures))


def with_new_environment(required: str, scratch: Path) -> Path:
    """Install by the pip of a throw-away environment."""
    _call(sys.executable, "-m", "venv", str(scratch / "env"))
    _call(str(scratch / "env/bin/python"), "-m", "pip", "install", "-q", f"uv{required}")
    return scratch / "env/bin/uv"


def with_own_pip(required: str, scratch: Path) -> Path:
    """Install by the machine's pip, into a folder of ours."""
    target = ("--target", str(scratch / "site"))
    _call(sys.executable, "-m", "pip", "install", "-q", *target, f"uv{required}")
    return scratch / "site/bin/uv"


def with_download(required: str, scratch: Path) -> Path:
    """Fetch the newest fitting wheel from the package index and unpack the program."""
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    index = next(filter(None, map(os.environ.get, names)), "https://pypi.org/simple")
    page = f"{index.rstrip('/')}/uv/"
    wheels = []
    for url, digest in _links(*_fetch(page), page):
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
        version = re.match(r"uv-([0-9.]+)-py3-none-", name)
        if version and _within(version[1], required) and (rank := _fits(name)):
            wheels.append((_numbers(version[1]), rank, url, digest))
    if not wheels:
        raise BootstrapError("the package index has no uv for this machine")
    *_, url, digest = max(wheels)
    content, _ = _fetch(url)
    if not digest or hashlib.sha256(content).hexdigest() != digest:
        raise BootstrapError("the download does not have the SHA-256 that the index tells")
    program = scratch / "uv"
    with zipfile.ZipFile(BytesIO(content)) as wheel:
        inner = next(name for name in wheel.namelist() if name.endswith(".data/scripts/uv"))
        program.write_bytes(wheel.read(inner))
    program.chmod(0o755)
    return program


def _links(content: bytes, kind: str, page: str) -> list[tuple[str, str]]:
    """Return address and SHA-256 of every file on an index page (PEP 691 or PEP 503)."""
    if "json" in kind:
        return [
            (urllib.parse.urljoin(page, file["url"]), file["hashes"].get("sha256", ""))
            for file in json.loads(content)["files"]
            if not file.get("yanked")
        ]
    reader = _Anchors()
    reader.feed(content.decode())
    return [
        (urllib.parse.urljoin(page, address), digest)
        for address, _, digest in (link.partition("#sha256=") for link in reader.found)
    ]


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href") and "data-yanked" not in values:
            self.found.append(str(values["href"]))


def _fetch(url: str) -> tuple[bytes, str]:
    """Return body and content type; user and password of an address become a header."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(parts._replace(netloc=host, fragment="").geturl())  # noqa: S310
    request.add_header("Accept", "application/vnd.pypi.simple.v1+json, text/html;q=0.5, */*;q=0.1")
    if parts.username:
        login = (
            f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        )
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    trust = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS, context=trust) as reply:  # noqa: S310
            return reply.read(), reply.headers.get("Content-Type", "")
    except (urllib.error.URLError, ValueError) as error:
        raise BootstrapError(f"{host} does not answer ({error})") from error


def _fits(name: str) -> int:
    """Return how well a wheel suits this machine: 0 not at all; static builds run anywhere."""
    machine = platform.machine()
    if sys.platform == "darwin":
        return int("macosx" in name and machine in name)
    if machine not in name:
        return 0
    glibc = platform.libc_ver()[0] == "glibc"
    return 2 if glibc and "manylinux" in name else int("musllinux" in name)


def _answers(program: str, required: str) -> bool:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    version = re.match(r"uv ([0-9]+\.[0-9]+\.[0-9]+)", said.stdout)
    return bool(version) and _within(version[1], required)


def _within(version: str, required: str) -> bool:
    """Return whether a version lies in a range such as `>=0.13,<1`."""
    for bound in required.split(","):
        operator, number = re.fullmatch(r"(>=|<)([0-9.]+)", bound.strip()).groups()
        if (_numbers(version) >= _numbers(number)) != (operator == ">="):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _cache(environment: dict[str, str]) -> Path:
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(environment.get("UV_CACHE_DIR") or f"{home}/uv")


def _same_disk(*folders: Path) -> bool:
    existing = [
        next(path for path in (folder, *folder.parents) if path.exists()) for folder in folders
    ]
    return len({path.stat().st_dev for path in existing}) == 1


def _call(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd=TOOLS
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise BootstrapError(lines[-1])


if __name__ == "__main__":
    main()
