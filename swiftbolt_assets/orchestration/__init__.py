"""Dagster's extension points: its home, its processes and the one launching module."""
