"""The migrator service: containers move between the hosts of a cluster while they run.

Subjects `shoal.v1.migrator.<node>.<operation>` (`shared.contracts.migrator`). Owns the keys `migrations.*`, which the
hubs keep. Runs only on hosts that are in a cluster.
"""
