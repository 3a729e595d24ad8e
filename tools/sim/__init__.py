"""Simulated clusters: the scheduler's pure part under loads that no lab holds (`python -m tools.sim`)."""
