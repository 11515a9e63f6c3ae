"""The asset checks of a run, one module each: another module is a check that runs with the others.

What belongs here: in each, its `specs` and the phrasing of its `results`. What does not: the
oracle, which is SQL (`resources/bars/ledger.py`, `resources/bars/splits.py`), what a run is to its
checks (`assets/checked_run.py`), and finding the modules (`assets/every_check.py`).
"""
