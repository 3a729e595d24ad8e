"""Other projects' own test suites, run against Shoal and against dockerd: `python -m tests.clients --help`.

A suite's tests come from a package registry or from a checkout, never from this repository; what a run needs is kept
in a cache folder outside of it.
"""
