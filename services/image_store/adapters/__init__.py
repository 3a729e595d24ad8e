"""How the image store touches disk, processes and the state store."""
