"""Tradier: today's bars, and prices now."""
