"""Decisions of the network service: values in, values out."""
