"""The asset graph, thin: partitions, bars and their checks."""
