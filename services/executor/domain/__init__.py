"""Decisions about containers: values in, values out."""
