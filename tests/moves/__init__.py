"""How long a move freezes a real server, and what its clients see of it."""
