"""How the migrator acts."""
