"""The outside world: providers and Postgres."""
