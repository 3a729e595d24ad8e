"""The operations of the Docker API, one module per noun: a route table as data, and short handlers."""
