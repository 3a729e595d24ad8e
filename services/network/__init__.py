"""The network service: networks, endpoints, sandboxes, addresses and published ports of one node.

Subjects `shoal.v1.network.<node>.<operation>` (`shared.contracts.network`). Owns the keys `names.network.*`,
`networks.*.spec` and `endpoints.*.*`; calls no other service.
"""
