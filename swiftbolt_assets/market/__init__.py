"""The domain: pure functions over frames and instants; no I/O, no Dagster, no clock."""
