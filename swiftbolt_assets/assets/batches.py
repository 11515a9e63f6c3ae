"""How Dagster batches events; apart, because commands that need no Dagster set it, too."""

#: Dagster stores a batch of events when it is this long, if told so by this variable.
EVENT_BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
EVENT_BATCH_SIZE = 500
