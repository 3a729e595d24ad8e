"""The store's longer operations: each asks the domain what to do and has the adapters do it."""
