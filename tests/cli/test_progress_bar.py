"""The progress of a fill: one line that fits 80 columns, and plain lines off a terminal."""

from __future__ import annotations

import io
import re
from datetime import date
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from rich.console import Console

from resources.bars.symbols import ensure_symbols
from resources.providers.rate_limit import LimiterState
from resources.queue.progress import Mark
from swiftbolt_assets.cli import progress as progress_bar
from swiftbolt_assets.cli.progress import FillProgress

if TYPE_CHECKING:
    from resources.postgres.database import Database

BUDGET = LimiterState(per_window=5, window_s=60.0, free=0, next_free_s=59.0, waiting=3)
DAYS = [date(2026, 11, day) for day in (16, 17, 18, 19)]


@pytest.mark.parametrize("width", [80, 60, 200])
def test_the_bar_stays_on_one_line(
    database: Database, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system="truecolor")
    monkeypatch.setattr(progress_bar, "Console", lambda **_: console)
    names = ensure_symbols(database, ["LONGSYMBOL.WXYZ", "MSFT", "NVDA", "AMD", "TSLA"])
    with FillProgress(database, names, DAYS, 4, Mark(0, 0), lambda: BUDGET):
        pass
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    lines = [line.strip() for line in re.split(r"[\r\n]+", drawn) if line.strip()]
    assert lines
    assert all(len(line) <= width for line in lines)
    # A wrapped line would leave one that does not begin with the symbol.
    assert all(line.startswith("LONG") for line in lines), lines
    if width >= 80:
        whole = r"LONGSYMBOL\.WXYZ \+4 [━╸╺ ]+ 0 % · 0 bars · 0 requests · \d+ min \d\d s left"
        assert re.fullmatch(whole, lines[-1]), lines


def test_off_a_terminal_lines_are_whole_and_plain(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=False, width=20)
    monkeypatch.setattr(progress_bar, "Console", lambda **_: console)
    names = ensure_symbols(database, ["AAPL"])
    with FillProgress(database, names, DAYS, 4, Mark(0, 0), lambda: BUDGET):
        pass
    assert re.fullmatch(r"AAPL: 0 % · 0 bars · 0 requests · 1 min 01 s left\n", screen.getvalue())


def test_nothing_to_fill_is_all_done(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress_bar, "Console", lambda **_: Console(file=screen, width=80))
    with FillProgress(database, {"AAPL": uuid4()}, DAYS[:1], 0, Mark(0, 0), lambda: BUDGET):
        pass
    assert screen.getvalue() == "AAPL: 100 % · 0 bars · 0 requests\n"
