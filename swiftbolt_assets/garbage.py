"""How seldom a process looks for garbage among what it has imported.

What is imported is never garbage, and looking through it again and again was a fifth of a command's
start. In a fork, which begins with a quarter million objects, it was 0.25 of the 0.64 s of CPU
until its definitions were there, and each page looked at is copied; a run keeps its events until
its end. What belongs here: the two ways of looking less. What does not: who looks less.
"""

from __future__ import annotations

import gc

#: New objects between two garbage collections, 700 by default.
_COLLECT_EVERY = 10_000


def collect_seldom() -> None:
    """Look seldom from now on."""
    gc.set_threshold(_COLLECT_EVERY)


def keep_what_lives() -> None:
    """Take what is there by now out of the collector's sight, and look seldom from now on."""
    gc.collect()
    gc.freeze()
    collect_seldom()
