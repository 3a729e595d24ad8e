"""The Docker Engine API by its swagger files: what answers have to look like, and requests made from the schemas."""
