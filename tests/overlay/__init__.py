"""`python -m tests.overlay`: how fast networks across hosts are, beside a bare VXLAN link.

One TCP connection each, between the same two hosts of a lab, in turns; with `--line RATE` the hosts' lines carry no
more than that (tc-tbf(8)), as real ones do.
"""
