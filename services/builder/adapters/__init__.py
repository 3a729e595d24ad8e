"""How builds reach disk, network, image store and executor."""
