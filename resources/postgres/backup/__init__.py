"""The file of a backup, and databases that take the place of others."""
