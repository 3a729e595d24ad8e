"""The executor's ways to the host and to the store of records."""
