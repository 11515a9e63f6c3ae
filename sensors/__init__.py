"""Tick, gather, decide purely, then requests or one sentence of SkipReason."""
