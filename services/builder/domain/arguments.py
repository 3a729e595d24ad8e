"""Build arguments: which are declared, what they are worth, who may see them (Docker's `BuildArgs`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.contracts.common import Platform
from shared.dockerfile.instructions import Arg

BUILT_IN = tuple(
    name for stem in ("HTTP", "HTTPS", "FTP", "NO", "ALL") for name in (f"{stem}_PROXY", f"{stem.lower()}_proxy")
)
"""May be given without being declared, and leave no trace in the image."""
Values = Mapping[str, str | None]


def platform_arguments(target: Platform, host: Platform) -> dict[str, str]:
    """BuildKit's automatic arguments: seen before the first FROM, and where a stage declares them."""
    return {**_described("TARGET", target), **_described("BUILD", host)}


def _described(prefix: str, platform: Platform) -> dict[str, str]:
    parts = [platform.os, platform.architecture, *([platform.variant] if platform.variant else [])]
    return {
        f"{prefix}PLATFORM": "/".join(parts),
        f"{prefix}OS": platform.os,
        f"{prefix}ARCH": platform.architecture,
        f"{prefix}VARIANT": platform.variant,
    }


@dataclass(frozen=True)
class Arguments:
    """`given` by the client (None: without a value); `before`: declared before the first FROM; `declared`: here."""

    given: Values
    before: Values
    declared: Values

    @classmethod
    def of(cls, given: Values, automatic: Values) -> Arguments:
        return cls(given, automatic, {})

    def for_stage(self) -> Arguments:
        """What a new stage begins with: nothing is declared yet."""
        return replace(self, declared={})

    def declare_before(self, step: Arg) -> Arguments:
        """An ARG before the first FROM."""
        pairs = dict(step.pairs)
        return replace(self, before={**self.before, **pairs}, declared={**self.declared, **pairs})

    def declare(self, step: Arg) -> Arguments:
        """An ARG of a stage."""
        return replace(self, declared={**self.declared, **dict(step.pairs)})

    def visible(self) -> dict[str, str]:
        """Those declared in this stage, and the built-in ones."""
        return self._known(self.declared)

    def visible_before(self) -> dict[str, str]:
        """What FROM lines may use."""
        return self._known(self.before)

    def _known(self, declared: Values) -> dict[str, str]:
        found = {name: self._value(name, declared) for name in (*declared, *BUILT_IN)}
        return {name: value for name, value in found.items() if value is not None}

    def _value(self, name: str, declared: Values) -> str | None:
        """The client's value, else the declared default, else that from before the first FROM."""
        given, default = self.given.get(name), declared.get(name)
        if given is not None:
            return given
        return default if default is not None else self.before.get(name)

    def variables(self, env: tuple[str, ...]) -> dict[str, str]:
        """What words may use: ENV wins."""
        return {**self.visible(), **dict(each.partition("=")[::2] for each in env)}

    def hidden(self, env: tuple[str, ...]) -> dict[str, str]:
        """What a RUN gets beside ENV, in the order of names."""
        known = {each.partition("=")[0] for each in env}
        return {name: value for name, value in sorted(self.visible().items()) if name not in known}

    def told(self, env: tuple[str, ...]) -> tuple[str, ...]:
        """What the history shows of them before a RUN: built-in ones only where the Dockerfile declares them."""
        shown = [f"{name}={value}" for name, value in self.hidden(env).items()
                 if name in self.declared or name not in BUILT_IN]  # fmt: skip
        return (f"|{len(shown)}", *sorted(shown)) if self.hidden(env) else ()


def unused(given: Values, referenced: set[str]) -> list[str]:
    """Arguments that no ARG wanted, in the order of names."""
    return sorted(name for name in given if name not in referenced and name not in BUILT_IN)
