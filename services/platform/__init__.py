"""Platform: the mechanisms of one Linux host: root file systems, processes, streams, limits.

Owns no records: what it must find again lies in `<run_dir>/platform` (bundles, exit codes) and
`<state_dir>/platform/logs`. Answers `shoal.v1.platform.<node>.*`, tells `platform.exited`, calls nobody.
"""
