"""Where a process of ours imports from: never the folder that it was started in.

A person's own `calendar.py` there would run instead of Python's. Python puts that folder on its
path for `-m`, for `-c` and for an empty or relative entry of PYTHONPATH; Dagster does while it
loads code.

What belongs here: the path, and the variables of Python that its children inherit. It imports only
what every Python has loaded before: anything else, `__future__` too, could be that folder's.
"""

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - see above
#: Dagster takes the first entry for a script's folder, and leaves it out while it loads code.
_NOTHING = os.devnull


def begin() -> None:
    """Free this process, and those that it starts, of the current folder; the first thing to do.

    An entry of PYTHONPATH that is absolute stays: it is the same wherever one starts.
    """
    if not sys.flags.safe_path:
        _leave_first(sys.path)
    for entry in filter(None, map(_absolute, _relative(os.environ.get("PYTHONPATH", "")))):
        if entry in sys.path:
            sys.path.remove(entry)
    _keep_root(sys.path)
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.dont_write_bytecode = False
    cleaned = own_environment(dict(os.environ))
    for name in os.environ.keys() - cleaned.keys():
        del os.environ[name]
    os.environ.update(cleaned)


def own_environment(environ: dict[str, str]) -> dict[str, str]:
    """Return an environment whose Pythons import nothing from the folder they are started in.

    They also keep what they compile: each start would read all of Dagster's sources, and take
    twice as long.
    """
    cleaned = environ | {"PYTHONSAFEPATH": "1"}
    cleaned.pop("PYTHONDONTWRITEBYTECODE", None)
    text = cleaned.pop("PYTHONPATH", "")
    entries = [
        entry
        for entry in text.split(os.pathsep)
        if entry not in _relative(text) and entry != _NOTHING
    ]
    if entries:
        cleaned["PYTHONPATH"] = os.pathsep.join([_NOTHING, *entries])
    return cleaned


class OwnModules:
    """A block that imports nothing from the folder that Dagster puts first while it loads code."""

    def __enter__(self) -> None:
        """Take it off the path."""
        self._before = sys.path[:]
        _leave_first(sys.path)
        _keep_root(sys.path)

    def __exit__(self, *_: object) -> None:
        """Put the path back as it was."""
        sys.path[:] = self._before


def _leave_first(path: list[str]) -> None:
    """Drop the first entry if it is the current folder."""
    if path and (path[0] == "" or _absolute(path[0]) == _absolute("")):
        del path[0]


def _keep_root(path: list[str]) -> None:
    """Keep what the packages lie in: where it is the current folder, it comes last."""
    if _ROOT not in path:
        path.append(_ROOT)


def _relative(entries: str) -> list[str]:
    """Return the entries of a PYTHONPATH that depend on the current folder."""
    return [entry for entry in entries.split(os.pathsep) if not os.path.isabs(entry)]  # noqa: PTH117


def _absolute(entry: str) -> str | None:
    """Return a folder's absolute path, None where the current one was removed."""
    try:
        return os.path.abspath(entry)  # noqa: PTH100
    except OSError:
        return None
