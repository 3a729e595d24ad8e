"""Decisions of the platform: values in, values out."""
