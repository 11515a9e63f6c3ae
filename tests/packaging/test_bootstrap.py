"""uv comes into a checkout on whatever Python there is, checked against the index."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import platform
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / ".ci" / "bootstrap_uv.py"
RANGE = ">=0.13,<1"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap_uv", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = load()


class Index:
    """A package index on loopback whose one wheel holds a shell script named uv."""

    def __init__(self, form: str, *, honest: bool = True) -> None:
        machine = platform.machine()
        system = "macosx_11_0" if sys.platform == "darwin" else "manylinux_2_17"
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as wheel:
            wheel.writestr("uv-0.13.4.data/scripts/uv", "#!/bin/sh\necho uv 0.13.4\n")
        self.wheel = content.getvalue()
        self.digest = hashlib.sha256(self.wheel if honest else b"other").hexdigest()
        names = [f"uv-{version}-py3-none-{system}_{machine}.whl" for version in ("0.13.4", "1.0.0")]
        names.append("uv-0.14.0-py3-none-win_amd64.whl")
        if form == "json":
            files = [{"url": name, "hashes": {"sha256": self.digest}} for name in names]
            self.page, self.kind = (
                json.dumps({"files": files}),
                "application/vnd.pypi.simple.v1+json",
            )
        else:
            links = [f'<a href="{name}#sha256={self.digest}">{name}</a>' for name in names]
            self.page = "<br>".join(links)
            self.kind = "text/html"
        self.logins: list[str | None] = []


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[tuple[Index, str]]:
    index: Index = request.param

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.logins.append(self.headers.get("Authorization"))
            whole = self.path.endswith("/uv/")
            self.send_response(200)
            self.send_header("Content-Type", index.kind if whole else "application/zip")
            self.end_headers()
            self.wfile.write(index.page.encode() if whole else index.wheel)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield index, f"http://user:secret%21@127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "served", [Index("json"), Index("html")], indirect=True, ids=["json", "html"]
)
def test_the_newest_fitting_wheel_is_fetched_from_the_configured_index(
    served: tuple[Index, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, address = served
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", address)
    program = bootstrap.with_download(RANGE, tmp_path)
    assert subprocess.check_output([program], text=True) == "uv 0.13.4\n"
    assert set(index.logins) == {"Basic dXNlcjpzZWNyZXQh"}


@pytest.mark.parametrize("served", [Index("json", honest=False)], indirect=True, ids=["forged"])
def test_a_download_with_another_sha256_is_refused(
    served: tuple[Index, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", served[1])
    with pytest.raises(bootstrap.BootstrapError, match="SHA-256"):
        bootstrap.with_download(RANGE, tmp_path)
    assert not (tmp_path / "uv").exists()


def test_an_index_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(bootstrap.BootstrapError, match=r"127\.0\.0\.1:9 does not answer") as caught:
        bootstrap.with_download(RANGE, tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "inside"),
    [("0.12.9", False), ("0.13", True), ("0.13.0", True), ("0.99.1", True), ("1.0.0", False)],
)
def test_a_version_is_held_against_the_range(version: str, *, inside: bool) -> None:
    assert bootstrap._within(version, RANGE) is inside


def test_an_old_uv_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, tools = tmp_path / "path", tmp_path / "tools"
    for folder, version in ((old, "0.4.0"), (tools, "0.13.5")):
        folder.mkdir()
        (folder / "uv").write_text(f"#!/bin/sh\necho uv {version}\n")
        (folder / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{old}:{os.environ['PATH']}")
    monkeypatch.setattr(bootstrap, "TOOLS", tools)
    assert bootstrap.find(RANGE) == str(tools / "uv")


def test_without_a_new_enough_python_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(
        ["/bin/sh", PROJECT / ".ci" / "uv", "--version"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed")
    assert done.stderr.count("\n") == 1


def test_make_lists_its_targets() -> None:
    shown = subprocess.check_output(["make", "-C", PROJECT], text=True)
    for target in ("demo", "test", "check", "bench", "clean"):
        assert f"make {target} " in shown
