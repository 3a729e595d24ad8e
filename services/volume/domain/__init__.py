"""Decisions of the volume service: values in, values out."""
