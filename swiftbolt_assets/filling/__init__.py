"""From answers to stored bars: ask, validate, judge, derive, store."""
