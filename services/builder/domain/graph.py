"""Which stages there are, and which of them a step needs: what needs none, is built at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.dockerfile.instructions import Label, Stage
from shared.errors import InvalidArgument


def chosen(stages: Sequence[Stage], target: str) -> tuple[Stage, ...]:
    """The stages up to the target (a name or a number; "": the last); raises `InvalidArgument`."""
    if not target:
        return tuple(stages)
    position = by_name(stages, len(stages), target)
    if position is None and target.isascii() and target.isdigit() and int(target) < len(stages):
        position = int(target)
    if position is None:
        raise InvalidArgument(f'target stage "{target}" could not be found')
    return tuple(stages[: position + 1])


def by_name(stages: Sequence[Stage], before: int, name: str) -> int | None:
    """The stage of that name among the first ones."""
    for position in range(min(before, len(stages)) - 1, -1, -1):
        if stages[position].begin.name and stages[position].begin.name == name.lower():
            return position
    return None


def by_reference(stages: Sequence[Stage], current: int, reference: str) -> int | None:
    """The stage that `--from` means, None for an image; raises `InvalidArgument`."""
    position = by_name(stages, current, reference)
    if position is not None:
        return position
    if not (reference.isascii() and reference.lstrip("+-").isdigit()):
        return None
    number = int(reference)
    if number == current:
        raise InvalidArgument(f"invalid from flag value {reference}: refers to current build stage")
    if not 0 <= number < current:
        raise InvalidArgument(f"invalid from flag value {reference}: index out of bounds")
    return number


def check_names(stages: Sequence[Stage]) -> None:
    """Raises `InvalidArgument` when two stages have one name."""
    seen: set[str] = set()
    for stage in stages:
        if stage.begin.name in seen:
            raise InvalidArgument(f"{stage.begin.name} stage name already used")
        if stage.begin.name:
            seen.add(stage.begin.name)


def with_labels(stages: Sequence[Stage], labels: dict[str, str]) -> tuple[Stage, ...]:
    """The labels of the request, each as an instruction of the last stage, in the order of names."""
    *rest, last = stages
    added = tuple(
        Label(((name, value),), literal=True, source=f"LABEL {name}={value}") for name, value in sorted(labels.items())
    )
    return (*rest, Stage(last.begin, last.instructions + added))


def needs(stages: Sequence[Stage], current: int, references: Iterable[str]) -> set[int]:
    """The stages among what `--from` names in stage `current`: a step needs them."""
    found: set[int | None] = set()
    for reference in references:
        try:
            found.add(by_reference(stages, current, reference))
        except InvalidArgument:
            continue  # told when its turn comes
    return {position for position in found if position is not None}
