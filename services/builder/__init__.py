"""The builder: images by Dockerfiles.

Answers `shoal.v1.builder.<node>.*` (see `shared.contracts.builder`), owns the keys `builds.<node>.*` and the folder
`<state_dir>/builder`; calls the image store for every layer and the executor for every RUN.
"""
