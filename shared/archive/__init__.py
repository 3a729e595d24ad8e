"""Tar archives of strangers, read once, with every length bounded; `source` and `reader` import decompressors."""
