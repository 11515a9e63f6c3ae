"""Dagster's configuration of each profile, as templates; `instance.py` fills them in."""
