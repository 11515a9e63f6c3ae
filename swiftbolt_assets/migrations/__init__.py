"""Alembic environment and plain SQL files."""
