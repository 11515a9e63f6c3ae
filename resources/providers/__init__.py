"""The providers of bars, and what all of them share: transport, budget, health."""
