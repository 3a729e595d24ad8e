"""Decisions of the scheduler: pure."""
