"""Many live moves of servers under load, with clients that check every answer: `python -m tests.cluster_moves`."""
