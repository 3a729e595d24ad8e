"""Clusters: `shoal cluster` and `shoal node`."""
