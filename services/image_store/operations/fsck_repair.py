"""Mending a store's folder that no service works on: what can be made again is, what cannot is forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from shared.archive.remove_tree import remove_tree

from ..adapters import disk
from ..adapters.content_local import LocalContent
from .fsck import Check, Checked, Finding

_ROUNDS = 4
"""Each look may uncover what rested upon what was forgotten; nothing rests upon more than images, layers and blobs."""


class Repairing:
    """Looks, mends, and looks again. Every step may be interrupted, and the whole done again."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._layout = check.layout
        self.mended: list[Finding] = []

    async def run(self) -> Checked:
        """What is left: damage that cannot be mended, and layers that the store unpacks when it starts."""
        done = self._check.run()
        self._layout.open()
        for _ in range(_ROUNDS):
            todo = [each for each in done.findings if each.repair in ("remove", "forget", "index")]
            if not todo:
                break
            await self._mend(todo)
            self._check = Check(self._layout.root, hashing=False)  # every blob that was wrong is gone
            done = self._check.run()
        self._layout.empty_trash()
        return done

    async def _mend(self, findings: Iterable[Finding]) -> None:
        """The index goes before what it names."""
        findings = list(findings)
        forgotten = {each.subject for each in findings if each.repair == "forget"}
        if forgotten or any(each.repair == "index" for each in findings):
            await self._index(forgotten, any(each.repair == "index" for each in findings))
        for each in findings:
            path = self._layout.root / each.subject
            if each.repair == "remove" and path.parent == self._layout.trash:
                remove_tree(str(path))
            elif each.repair == "remove":
                self._layout.discard(path)
        self._layout.open()  # what was removed and has to be there is made anew
        disk.sync_filesystem(self._layout.root)
        self.mended += findings

    async def _index(self, forgotten: set[str], anew: bool) -> None:
        content = LocalContent(self._layout)
        indexed = self._check.restored() if anew else content.read_index()
        await content.write_index([each for each in indexed if each.manifest.digest not in forgotten])
