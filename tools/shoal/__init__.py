"""The command `shoal`: one module per sub-command, each with a function `command`."""
