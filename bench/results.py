"""What a benchmark found: lines of figures, each beside what it is compared with.

What belongs here: the records, and how they print. What does not: measuring.
"""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIBRARIES = ("polars", "numpy", "pandera", "msgspec", "psycopg", "duckdb", "pandas", "dagster")


@dataclass(frozen=True)
class Line:
    """One measured thing.

    Attributes:
        what: in words.
        figure: as printed.
        spread: minimum and maximum, or another remark; may be empty.
        ratio: against what the group compares with, as printed; may be empty.
        target: as printed; None where there is none.
        reached: whether the target is reached; None where there is none.

    """

    what: str
    figure: str = ""
    spread: str = ""
    ratio: str = ""
    target: str | None = None
    reached: bool | None = None


@dataclass
class Group:
    """The lines of one comparison.

    Attributes:
        title: what is compared, and with what.
        lines: in the order of print.
        data: the figures for the results file.

    """

    title: str
    lines: list[Line] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


def machine() -> dict[str, str]:
    """Return what the figures depend on: cores, load, versions."""
    load = os.getloadavg()[0]
    return {
        "cores": str(os.cpu_count()),
        "load before": f"{load:.1f}",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "revision": _revision(),
    } | {name: version(name) for name in _LIBRARIES}


def _revision() -> str:
    """Return the checkout's revision, or what stands for it outside of one."""
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "no checkout"
    return shown.stdout.strip()


def show(machine: Mapping[str, str], groups: list[Group]) -> None:
    """Print everything as one table."""
    table = Table(title="swiftbolt benchmarks", caption=_caption(machine), title_justify="left")
    for heading, justify in (
        ("measured", "left"),
        ("median", "right"),
        ("min .. max", "right"),
        ("ratio", "right"),
        ("target", "right"),
    ):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    for group in groups:
        table.add_section()
        table.add_row(f"[bold]{group.title}[/bold]")
        for line in group.lines:
            mark = {True: " [green]reached[/green]", False: " [red]missed[/red]", None: ""}
            table.add_row(
                f"  {line.what}",
                line.figure,
                line.spread,
                line.ratio,
                (line.target or "") + mark[line.reached],
            )
    Console(width=None if Console().is_terminal else 150).print(table)


def _caption(machine: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def milliseconds(seconds: float) -> str:
    """Return seconds as printed: three digits or so."""
    ms = seconds * 1e3
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.1f} ms"


def spread(seconds: tuple[float, ...]) -> str:
    """Return minimum and maximum as printed."""
    return f"{milliseconds(min(seconds))} .. {milliseconds(max(seconds))}"
