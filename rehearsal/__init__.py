"""A stepped market for `make bench` and `make test`: days lived through in seconds, then judged."""
