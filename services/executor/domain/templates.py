"""Go's text/template as far as log tags need it: fields, pipelines, functions, if, with, range, variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from .template_values import FUNCTIONS, TemplateError, Value, bounded, shown, true

LONGEST_TEMPLATE, LONGEST, MOST_STEPS = 8 << 10, 64 << 10, 10_000
"""Characters of a template and of its result; nodes that one execution visits."""
_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d+)|(?P<variable>\$\w*)|(?P<field>\.\w+)'
    r"|(?P<dot>\.)|(?P<word>\w+)|(?P<sign>:=|[()|,=]))"
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class _Operand:
    """A constant, `.`, a variable, a function's name or a pipeline in parentheses, and fields of it."""

    kind: str
    at: int
    text: str = ""
    inner: _Pipeline | None = None
    fields: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class _Pipeline:
    commands: tuple[tuple[_Operand, ...], ...]
    variables: tuple[str, ...] = ()


@dataclass
class _Node:
    """Text, the output of a pipeline, or a block."""

    kind: str
    text: str = ""
    pipeline: _Pipeline | None = None
    body: list[_Node] = field(default_factory=list)
    otherwise: list[_Node] = field(default_factory=list)


def render(template: str, name: str, data: Mapping[str, Value | Callable[..., Value]], of: str) -> str:
    """The text that comes of it; `of` is the Go type of what `.` is at first. Raises `TemplateError` in Go's words."""
    if len(template) > LONGEST_TEMPLATE:
        raise TemplateError(f"template: {name}:1: longer than {LONGEST_TEMPLATE} characters")
    try:
        run = _Run(name, data, of)
        run.visit(_parsed(template, name), None)
    except RecursionError:
        raise TemplateError(f"template: {name}:1: nested too deep") from None
    return "".join(run.out)


def _parsed(template: str, name: str) -> list[_Node]:
    try:
        return _Parser(template).nodes()
    except TemplateError as error:
        raise TemplateError(f"template: {name}:1: {error}") from None


class _Parser:
    def __init__(self, template: str) -> None:
        self._pieces = _pieces(template)
        self._number = 0
        self._tokens: list[_Token] = []

    def nodes(self) -> list[_Node]:
        found, ended = self._block()
        if ended:
            raise TemplateError(f"unexpected {{{{{ended}}}}}")
        return found

    def _block(self) -> tuple[list[_Node], str]:
        """Nodes up to an `end` or `else`, or the template's end."""
        found: list[_Node] = []
        while self._number < len(self._pieces):
            is_action, text, at = self._pieces[self._number]
            self._number += 1
            if not is_action:
                found.append(_Node("text", text))
                continue
            self._tokens = list(_tokens(text, at))
            if not self._tokens:
                raise TemplateError("missing value for command")
            word = self._tokens[0].text if self._tokens[0].kind == "word" else ""
            if word in ("end", "else"):
                return found, " ".join(token.text for token in self._tokens)
            if word in ("if", "with", "range"):
                found.append(self._opened(word))
            else:
                found.append(_Node("print", pipeline=self._pipeline("command", closed=False)))
        return found, ""

    def _opened(self, word: str) -> _Node:
        self._tokens.pop(0)
        node = _Node(word, pipeline=self._pipeline(word, closed=False))
        node.body, ended = self._block()
        if ended.startswith("else "):  # `else if x` is an `if` in the other branch, ended by the same `end`
            self._tokens.pop(0)
            if self._tokens[0].text != "if":
                raise TemplateError(f"unexpected <{self._tokens[0].text}> in else")
            node.otherwise = [self._opened("if")]
            return node
        if ended == "else":
            node.otherwise, ended = self._block()
        if ended != "end":
            raise TemplateError("unexpected EOF")
        return node

    def _pipeline(self, context: str, *, closed: bool) -> _Pipeline:
        variables = self._declared()
        commands: list[tuple[_Operand, ...]] = [()]
        while self._tokens and not (closed and self._tokens[0].text == ")"):
            token = self._tokens.pop(0)
            if token.kind == "sign" and token.text == "|":
                commands.append(())
            else:
                commands[-1] += (self._operand(token),)
        if closed:
            if not self._tokens:
                raise TemplateError("unclosed left paren")
            self._tokens.pop(0)
        if not all(commands):
            raise TemplateError(f"missing value for {context}")
        return _Pipeline(tuple(commands), variables)

    def _declared(self) -> tuple[str, ...]:
        """Variables that a pipeline declares: `$x :=`, `$i, $x :=`."""
        for count in (1, 3):
            head = self._tokens[: count + 1]
            if len(head) == count + 1 and head[0].kind == "variable" and head[-1].text in (":=", "="):
                del self._tokens[: count + 1]
                return tuple(token.text for token in head[:-1] if token.kind == "variable")
        return ()

    def _operand(self, token: _Token) -> _Operand:
        kind, text, inner = token.kind, token.text, None
        fields: tuple[tuple[str, int], ...] = ()
        if kind == "sign":
            if text != "(":
                raise TemplateError(f"unexpected <{text}> in operand")
            kind, inner = "pipeline", self._pipeline("parenthesized pipeline", closed=True)
        elif kind == "field":
            kind, fields = "dot", ((text[1:], token.at),)
        elif kind == "word" and text not in FUNCTIONS and text not in ("true", "false", "nil"):
            raise TemplateError(f'function "{text}" not defined')
        end = token.at + len(text)
        while self._tokens and self._tokens[0].kind == "field" and (inner is not None or self._tokens[0].at == end):
            more = self._tokens.pop(0)
            fields, end = (*fields, (more.text[1:], more.at)), more.at + len(more.text)
        return _Operand(kind, token.at, text, inner, fields)


def _pieces(template: str) -> list[tuple[bool, str, int]]:
    """Texts and actions with where they begin; `{{-` and `-}}` take the blanks beside them away."""
    found: list[tuple[bool, str, int]] = []
    at, trim = 0, False
    while True:
        begin = template.find("{{", at)
        text = template[at : len(template) if begin < 0 else begin]
        text = text.lstrip() if trim else text
        if begin < 0:
            return [*found, (False, text, at)]
        inside = begin + 2
        if trims := template[inside : inside + 2] in ("- ", "-\t", "-\n"):
            text, inside = text.rstrip(), inside + 2
        comment = template[inside:].startswith("/*")
        end = template.find("}}", template.find("*/", inside) if comment else inside)
        end = end if comment else _end(template, inside)
        if end < 0 or (comment and "*/" not in template[inside:end]):
            raise TemplateError("unclosed comment" if comment else "unclosed action")
        trim = end - 1 > inside + trims - 1 and template[end - 1] == "-" and template[end - 2].isspace()
        found.append((False, text, at))
        if not comment:
            found.append((True, template[inside : end - 1 if trim else end], inside))
        at = end + 2


def _end(template: str, begin: int) -> int:
    """Where the action's `}}` is, which may also be in a string of it."""
    for match in re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|\}\}').finditer(template, begin):
        if match[0] == "}}":
            return match.start()
    return -1


def _tokens(text: str, begin: int) -> list[_Token]:
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            left = text[at:].lstrip()[0]
            raise TemplateError("unterminated quoted string" if left in '"`' else f"unexpected {left!r} in command")
        found.append(_Token(match.lastgroup, match[match.lastgroup], begin + match.start(match.lastgroup)))
        at = match.end()
    return found


class _Run:
    def __init__(self, name: str, data: Mapping[str, Value | Callable[..., Value]], of: str) -> None:
        self.out: list[str] = []
        self._name, self._data, self._of = name, data, of
        self._variables: dict[str, Value] = {}
        self._steps = self._length = 0

    def visit(self, nodes: Sequence[_Node], dot: Value) -> None:
        """Writes what they give; a `dot` of None is the data."""
        for node in nodes:
            self._steps += 1
            if self._steps > MOST_STEPS or self._length > LONGEST:
                raise TemplateError(f"template: {self._name}: too much")
            if node.pipeline is None:
                self._write(node.text)
                continue
            value = self._pipeline(node.pipeline, dot)
            if node.kind == "print":
                if not node.pipeline.variables:
                    self._write(shown(value))
            elif node.kind == "range":
                self._range(node, value, dot)
            else:
                inside = value if node.kind == "with" else dot
                self.visit(node.body if true(value) else node.otherwise, inside if true(value) else dot)

    def _write(self, text: str) -> None:
        self._length += len(text)
        self.out.append(text)

    def _range(self, node: _Node, value: Value, dot: Value) -> None:
        pairs: Sequence[tuple[Value, Value]] = ()
        if isinstance(value, Mapping):
            pairs = sorted(value.items())
        elif isinstance(value, list):
            pairs = list(enumerate(value))
        elif value is not None:
            raise TemplateError(f"template: {self._name}:1: range can't iterate over {shown(value)}")
        names = node.pipeline.variables if node.pipeline else ()
        for key, each in pairs:
            self._variables |= dict(zip(reversed(names), (each, key), strict=False))
            self.visit(node.body, each)
        if not pairs:
            self.visit(node.otherwise, dot)

    def _pipeline(self, pipeline: _Pipeline, dot: Value) -> Value:
        value: Value = None
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, dot, [value] if number else [])
        if len(pipeline.variables) == 1:
            self._variables[pipeline.variables[0]] = value
        return value

    def _command(self, command: tuple[_Operand, ...], dot: Value, last: list[Value]) -> Value:
        first, *rest = command
        if first.kind == "word" and first.text in FUNCTIONS:
            arguments = [self._operand(each, dot, []) for each in rest] + last
            try:
                result = FUNCTIONS[first.text](*arguments)
                return bounded(result) if isinstance(result, str) else result
            except TemplateError as error:
                self._fail(first.at, first.text, f"error calling {first.text}: {error}")
            except (TypeError, AttributeError, ValueError, OverflowError):
                self._fail(first.at, first.text, f"wrong arguments for {first.text}")
        arguments = [self._operand(each, dot, []) for each in rest] + last
        return self._operand(first, dot, arguments)

    def _operand(self, operand: _Operand, dot: Value, arguments: list[Value]) -> Value:
        of_data = operand.text == "$" or (operand.kind == "dot" and dot is None)
        value = None if of_data else self._begin(operand, dot)
        for number, (name, at) in enumerate(operand.fields):
            value = self._field(value, name, at, arguments, of_data=of_data and number == 0)
        if arguments and not (of_data and operand.fields):
            self._fail(operand.at, operand.text, f"can't give argument to non-function {operand.text}")
        return value

    def _begin(self, operand: _Operand, dot: Value) -> Value:
        """The operand without its fields."""
        text = operand.text
        if operand.kind == "string":
            inside = text[1:-1]
            return re.sub(r"\\(.)", _unescaped, inside) if text[0] == '"' else inside
        if operand.kind == "number":
            return int(text[:18])
        if operand.kind == "word":
            known = {"true": True, "false": False, "nil": None}
            return known[text] if text in known else self._command((operand,), dot, [])
        if operand.inner is not None:
            return self._pipeline(operand.inner, dot)
        if operand.kind == "variable":
            if text not in self._variables:
                raise TemplateError(f'template: {self._name}:1: undefined variable "{text}"')
            return self._variables[text]
        return dot

    def _field(self, value: Value, name: str, at: int, arguments: list[Value], *, of_data: bool) -> Value:
        if of_data:
            if name not in self._data:
                self._fail(at, f".{name}", f"can't evaluate field {name} in type {self._of}")
            found = self._data[name]
            if callable(found):
                try:
                    return found(*arguments)
                except TypeError:
                    self._fail(at, f".{name}", f"wrong number of args for {name}: want 1 got {len(arguments)}")
            if arguments:
                self._fail(at, f".{name}", f"{name} has arguments but cannot be invoked as function")
            return found
        if isinstance(value, Mapping):
            return value.get(name, "")
        return self._fail(at, f".{name}", f"can't evaluate field {name} in type {_go_type(value)}")

    def _fail(self, at: int, what: str, why: str) -> NoReturn:
        raise TemplateError(f'template: {self._name}:1:{at}: executing "{self._name}" at <{what}>: {why}')


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])


def _go_type(value: Value) -> str:
    return {str: "string", int: "int", bool: "bool", list: "[]string"}.get(type(value), "interface {}")
