"""Bringing a tree of files to another host while somebody writes to it, and what changed since once nobody does.

`TreeSource` walks the tree and says what is other than in its last pass; `TreeTarget` makes a tree like it. Between
them go the records of `shared.treesync.records`, in any stream of bytes.
"""

from shared.treesync.passing import Passing
from shared.treesync.source import TreeSource
from shared.treesync.target import TreeTarget

__all__ = ["Passing", "TreeSource", "TreeTarget"]
