"""Binds, mounts and volumes: what is asked for, and what it comes to."""
