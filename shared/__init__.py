"""What all rooms have in common: contracts, bus, state, streams. Knows no room."""
