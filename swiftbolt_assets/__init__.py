"""The data platform, but for the outside world (`resources/`) and the ticks (`sensors/`)."""
