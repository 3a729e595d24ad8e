"""The rules as functions from syntax trees to breaches."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

ROOMS = ("shared", "services", "gateway", "tools")
FILE_LINES = 400
FUNCTION_LINES = 60
SKIPPING = ("skip", "skipif", "xfail", "importorskip")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, order=True)
class Breach:
    """One place where a rule is broken."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def sizes(path: str, text: str, tree: ast.Module) -> Iterator[Breach]:
    """Files of at most 400 lines, functions of at most 60."""
    if (lines := text.count("\n")) > FILE_LINES:
        yield Breach(path, lines, f"{lines} lines; a file has at most {FILE_LINES}")
    for function in _functions(tree):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_LINES:
            yield Breach(path, function.lineno, f"{function.name} has {length} lines; at most {FUNCTION_LINES}")


def honest_tests(path: str, tree: ast.Module) -> Iterator[Breach]:
    """A test asserts something, and none is skipped."""
    for function in _functions(tree):
        if function.name.startswith("test_") and not _asserts(function):
            yield Breach(path, function.lineno, f"{function.name} asserts nothing")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in SKIPPING and _root(node) == "pytest":
            yield Breach(path, node.lineno, f"tests are not skipped (pytest {node.attr})")


def has_behaviour(tree: ast.Module) -> bool:
    """Whether a module holds code to test: a function with a body (declarations and protocols have none)."""
    return any(not _is_declaration(function) for function in _functions(tree))


def mirror(sources: Iterable[str], tests: Iterable[str]) -> Iterator[Breach]:
    """Each module with behaviour has its test file in tests/unit, and each test file its module.

    Packages' `__init__` and the `__main__` of a process, which the system tests run, may go without.
    """
    modules, test_files = set(sources), set(tests)
    for source in modules:
        if PurePosixPath(source).stem not in ("__init__", "__main__") and mirrored_test(source) not in test_files:
            yield Breach(source, 1, f"has no test file {mirrored_test(source)}")
    for test in test_files - {mirrored_test(source) for source in modules}:
        yield Breach(test, 1, "tests no module that exists under the mirrored path")


def mirrored_test(source: str) -> str:
    """Where the tests of a module are."""
    path = PurePosixPath(source)
    return str(PurePosixPath("tests/unit") / path.with_name(f"test_{path.stem.strip('_')}.py"))


def is_source(path: str) -> bool:
    """Whether a path is a module of one of the rooms."""
    return path.endswith(".py") and path.split("/", 1)[0] in ROOMS


def is_unit_test(path: str) -> bool:
    """Whether a path is a test file of the mirrored tree."""
    return path.startswith("tests/unit/") and PurePosixPath(path).match("test_*.py")


def _functions(tree: ast.AST) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def _is_declaration(function: Function) -> bool:
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in function.body)


def _asserts(function: Function) -> bool:
    return any(
        isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and _is_check(_name(node.func)))
        for node in ast.walk(function)
    )


def _is_check(name: str) -> bool:
    return name in ("raises", "fail", "warns") or name.startswith(("assert_", "check_", "expect"))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", "")


def check(files: Sequence[tuple[str, str]]) -> list[Breach]:
    """All breaches in (path, text) pairs, ordered by place."""
    breaches: list[Breach] = []
    sources: list[str] = []
    tests: list[str] = []
    for path, text in files:
        tree = ast.parse(text, path)
        breaches += sizes(path, text, tree)
        if path.startswith("tests/"):
            breaches += honest_tests(path, tree)
        if is_unit_test(path):
            tests.append(path)
        elif is_source(path) and (has_behaviour(tree) or path.endswith("/__init__.py")):
            sources.append(path)
    return sorted([*breaches, *mirror(sources, tests)])
