"""The runtime toolchain: crun, conmon and criu that are new enough, the system's own or in a private prefix.

`python -m tools.toolchain` makes `<prefix>/bin/{crun,conmon,criu}`. What is installed on the system and passes the
check is linked there; the rest comes from Debian's newer suites with all its libraries, so that it runs on any
Debian whatever its age, and nothing outside the prefix changes.
"""
