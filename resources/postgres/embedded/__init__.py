"""The Postgres server that a home folder brings along."""
