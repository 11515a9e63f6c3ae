"""Polygon, renamed Massive: history, the list of splits and the list of tickers."""
