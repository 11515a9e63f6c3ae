"""The bars' database itself: connections, callers' rights, the embedded server, backups."""
