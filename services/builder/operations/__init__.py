"""The order in which a build asks the domain and has the adapters act."""
