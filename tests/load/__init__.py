"""Real software under load while the engine's processes are killed: `python -m tests.load --help`."""
