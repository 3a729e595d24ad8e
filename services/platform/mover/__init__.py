"""The mover: a process on each side of a live migration, which carries a workload's memory from host to host.

It is started by the platform for one move and outlives it, as conmon does: a platform that is killed while pages are
still under way costs no workload its memory. Python's standard library alone, for a quick start and little memory.
"""
