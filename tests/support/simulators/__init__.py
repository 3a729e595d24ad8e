"""Small models of the engine's services in memory: what their neighbours see of them, no mechanism behind it."""
