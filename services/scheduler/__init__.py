"""The scheduler service: the hosts of a cluster, and who may join it.

Subjects `shoal.v1.scheduler.<node>.<operation>` (`shared.contracts.scheduler`). Owns the keys `nodes.*` and `tokens.*`,
which the hubs keep. Runs only on hosts that are in a cluster.
"""
