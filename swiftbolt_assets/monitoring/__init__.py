"""The monitoring reports, as one SQL file that psql and `swiftbolt monitor` both run."""
