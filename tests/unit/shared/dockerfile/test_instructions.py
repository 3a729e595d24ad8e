from __future__ import annotations

from shared.dockerfile import instructions as given
from shared.dockerfile.instructions import Instruction
from shared.dockerfile.parser import parse
from shared.dockerfile.reading import stages


def read(line: str) -> Instruction:
    """One instruction of a stage, without what it says of its place."""
    (stage,) = stages(parse(f"FROM x\n{line}\n".encode()))[1]
    (step,) = stage.instructions
    return step


def test_expansion() -> None:
    def upper(word: str) -> str:
        return word.upper()

    assert read("ENV a=b").expanded(upper) == given.Env((("A", "B"),), source="ENV a=b", line=2)
    copied = read("COPY --from=x --chown=u a /d").expanded(upper)
    assert isinstance(copied, given.Copy)
    assert (copied.sources, copied.destination, copied.chown, copied.from_) == (("A",), "/D", "U", "x")
    assert read("RUN a") == read("RUN a").expanded(upper)
    written = read("COPY <<'A' <<B /d\nx\nA\nx\nB")
    assert isinstance(written, given.Copy)
    assert [each.content for each in written.with_texts(upper).contents] == ["x\n", "X\n"]
    assert given.Label((("a", "b"),), literal=True).expanded(upper).pairs == (("a", "b"),)  # type: ignore[attr-defined]
