"""The commands, the supervisor, the bench and the rules of this project."""
