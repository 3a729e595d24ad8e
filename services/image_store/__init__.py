"""The image store: content, references, layers and snapshots of one node.

Answers `shoal.v1.image_store.<node>.*` (see `shared.contracts.image_store`), owns the keys
`references.<node>.*` and the folder `<state_dir>/image_store`; calls its own kind on other hosts for content.
"""
