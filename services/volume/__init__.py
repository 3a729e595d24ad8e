"""The volume service: named and anonymous volumes of one node.

Subjects `shoal.v1.volume.<node>.<operation>` (`shared.contracts.volume`). Owns the keys `volumes.*.*`; calls no
other service.
"""
