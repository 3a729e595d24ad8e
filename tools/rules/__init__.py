"""Rules of this source tree that no stock tool checks: tests mirror sources, files and functions stay small.

`python -m tools.rules` prints every breach as `path:line: text` and ends with 1 when there is one.
"""
