"""Runs on workers that may be on other machines."""
