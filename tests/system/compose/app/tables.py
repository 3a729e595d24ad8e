# mypy: ignore-errors
"""Makes the table; runs once before the others."""

from parts import database

database().cursor().execute("CREATE TABLE IF NOT EXISTS words (word text, worker text)")
print("tables are there")
