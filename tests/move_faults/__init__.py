"""A fault at each step of a container's move, in a lab: `python -m tests.move_faults`."""
