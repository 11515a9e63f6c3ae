"""Dagster's configuration of each profile, as templates; `configuration.py` fills them in."""
