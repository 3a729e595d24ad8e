"""Executor: the containers of one node, their life cycle, execs and restarts. It owns no mechanism.

Answers `shoal.v1.executor.<node>.*` (shared.contracts.executor). Owns the records `names.container.*` and
`containers.*.{spec,placement,status}` of its node's containers. Calls image_store, volume, network and
platform; hears `platform.exited` and `platform.started`; tells Docker's container events.
"""
