from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from services.executor.domain.template_values import TemplateError, Value
from services.executor.domain.templates import render

DATA: Mapping[str, Value | Callable[..., Value]] = {
    "Name": "web",
    "ID": "0123",
    "Labels": {"b.c": "x", "a": "y"},
    "Args": ["one", "two"],
    "Empty": "",
    "Extra": lambda mapping: {"A": "1"},
}


def rendered(template: str) -> str:
    return render(template, "log-tag", DATA, "*logger.Info")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain }} text", "plain }} text"),
        ("{{.Name}}/{{ .ID }}", "web/0123"),
        ("x {{- .Name -}}  y{{- `}}` }}", "xweby}}"),
        ("a{{/* c }} */}}b", "ab"),
        ("{{(.Extra nil).A}}{{ (.Extra nil).None }}", "1"),
        ('{{index .Labels "b.c"}}{{index .Args 1}}{{.Labels.a}}', "xtwoy"),
        ("{{.Labels}} {{.Args}}", "map[a:y b.c:x] [one two]"),
        ('{{index (split .Name "e") 0}}', "w"),
        ('{{printf "%s-%5s|%-3d|%q" .ID .Name 7 "a\\"" }}', '0123-  web|7  |"a\\""'),
        ("{{.Name | printf `%.2s` | upper | len}}", "2"),
        ("{{if .Empty}}x{{else if eq .Name `db` `web`}}y{{else}}z{{end}}", "y"),
        ("{{if .Empty}}x{{end}}{{if and .Name .ID}}y{{end}}{{not true}}", "yfalse"),
        ("{{with .Labels}}{{.a}}{{$.Name}}{{else}}n{{end}}{{with .Empty}}a{{else}}{{.Name}}{{end}}", "ywebweb"),
        ("{{range .Args}}{{.}},{{end}}{{range $i, $e := .Args}}{{$i}}{{$e}}{{else}}none{{end}}", "one,two,0one1two"),
        ("{{$x := .Name}}{{$x}}{{$x | title}}", "webWeb"),
        ("{{slice .Name 1}}{{slice .Name 0 1}}{{truncate .Name 2}}[{{pad .Name 1 1}}]", "ebwwe[ web ]"),
        ('{{json .Labels}}{{join .Args "-"}}{{lower "A"}}', '{"a":"y","b.c":"x"}one-twoa'),
        ('{{print "a" 1 2 "b"}}{{println 1 "x"}}', "a1 2b1 x\n"),
    ],
)
def test_what_comes_of_it(template: str, text: str) -> None:
    assert rendered(template) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{", "template: log-tag:1: unclosed action"),
        ("{{.Name", "template: log-tag:1: unclosed action"),
        ("{{/* x", "template: log-tag:1: unclosed comment"),
        ("{{}}", "template: log-tag:1: missing value for command"),
        ("{{(.Name}}", "template: log-tag:1: unclosed left paren"),
        ('{{"a}}', "template: log-tag:1: unterminated quoted string"),
        ("{{" + "(" * 8000 + "1}}", "template: log-tag:1: nested too deep"),
        ("{{if 1}}" * 1000, "template: log-tag:1: nested too deep"),
        ("x" * 9000, "template: log-tag:1: longer than 8192 characters"),
        ("{{Name}}", 'template: log-tag:1: function "Name" not defined'),
        ("{{if .Name}}", "template: log-tag:1: unexpected EOF"),
        ("{{end}}", "template: log-tag:1: unexpected {{end}}"),
        (
            "ab{{.Nope}}",
            'template: log-tag:1:4: executing "log-tag" at <.Nope>: can\'t evaluate field Nope in type *logger.Info',
        ),
        ("{{.Name.X}}", "can't evaluate field X in type string"),
        ("{{.Extra}}", "wrong number of args for Extra: want 1 got 0"),
        ("{{.Name 1}}", "Name has arguments but cannot be invoked as function"),
        ("{{.Args | index 5}}", "error calling index: can't index item of type int"),
        ("{{index .Args 5}}", "error calling index: index out of range: 5"),
        ("{{upper}}", "wrong arguments for upper"),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{range 5}}{{end}}", "range can't iterate over 5"),
        ("{{.Name | `x`}}", "can't give argument to non-function"),
    ],
)
def test_what_is_wrong_with_it(template: str, text: str) -> None:
    with pytest.raises(TemplateError) as raised:
        rendered(template)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    "template",
    [
        '{{range (split (printf "%0999d" 0) "")}}' * 3 + "x" + "{{end}}" * 3,
        '{{range (split (printf "%0999d" 0) "")}}' + "x" * 999 + "{{end}}",
        '{{$x := "a"}}' + '{{$x = printf "%s%s" $x $x}}' * 100,
        '{{$x := "a"}}' + "{{$x = print $x $x}}" * 100,
        '{{$x := "a"}}' + "{{$x = println $x $x}}" * 100,
        '{{$x := printf "%0999d" 0}}{{join (split $x "") $x}}',
        '{{pad "a" 999999999 999999999}}',
    ],
)
def test_a_template_has_an_end(template: str) -> None:
    with pytest.raises(TemplateError, match="too much"):
        rendered(template)
