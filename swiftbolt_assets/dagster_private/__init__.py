"""Every use of names that Dagster and multiprocessing do not promise to keep, with its reason.

`tests/work/test_private_names.py` lists them all, fails by name when one changes, and finds
those that stand elsewhere. What belongs here: the least that wraps such a name. What does not: what
is done with it.
"""
