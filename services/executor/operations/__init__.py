"""What the executor does: the order of calls and writes. Every rule it follows is in `domain`."""
