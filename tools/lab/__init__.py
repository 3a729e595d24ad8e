"""Several hosts on one machine, to try clusters: `shoal lab`.

Each host has its own network, mounts, processes, host name and state folder; a switch joins them. A host is
killed as by a power cut, and any two can be cut off from each other. Nothing of the machine itself changes.
"""
