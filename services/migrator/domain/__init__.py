"""Decisions of the migrator, without I/O."""
