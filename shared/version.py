"""The engine's own version."""

ENGINE_VERSION = "0.1.0"
