import re

import pytest

from modelkit.grammar.gotemplate import MISTAKES
from modelkit.templates import GoTemplate, TemplateError

EXAMPLES = [
    pytest.param(kind, example, id=f"{kind}: {example[:30]!r}")
    for kind, mistake in MISTAKES.items()
    for example in mistake.examples
]


class Anything(dict[str, str]):
    def __missing__(self, field: str) -> str:
        return "\0"


def as_pattern(template: str) -> str:
    return re.escape(template.format_map(Anything())).replace(re.escape("\0"), ".*")


def refusal(source: str) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        GoTemplate(source)
    assert caught.value.stage == "parse"
    return caught.value


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_every_example_of_a_mistake_gets_its_message_and_hint(kind: str, example: str) -> None:
    error = refusal(example)
    assert re.fullmatch(as_pattern(MISTAKES[kind].message), error.message)
    assert re.fullmatch(as_pattern(MISTAKES[kind].hint), error.hint or "")


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("{{ .a }}\n  {{ end }}", 2, 6),
        ("a\n{{ if .x }}\n{{ prnt .a }}{{ end }}", 3, 4),
        ('{{ .a }}\n{{ "b }}', 2, 4),
        ("{{ if .a }}\n", 2, 1),
        ("{{ range .a }}{{ end }}\n\n{{ $x.y }}", 3, 4),
        ('x {{ template "a" }}{{ "\\q" }}', 1, 24),
        ("{{ print (.a }}", 1, 14),
    ],
)
def test_an_error_points_at_its_place(source: str, line: int, column: int) -> None:
    error = refusal(source)
    assert (error.line, error.column) == (line, column)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("{{ prnt .a }}", "did you mean print?"),
        ("{{ jsn .a }}", "did you mean json?"),
        ("{{ Messages }}", "a field has a dot before it: .Messages"),
        ("{{ if }}", "{{ if … }} needs a value, such as .Prompt"),
        ("{{ $m }}", "declare it first with {{ $m := … }} in this block or around it"),
    ],
)
def test_a_hint_says_what_to_do(source: str, hint: str) -> None:
    assert refusal(source).hint == hint


@pytest.mark.parametrize(
    ("source", "column", "message"),
    [
        ("{{ .a.b }}", 4, "can't evaluate field b in type int"),
        ("{{ .q.b }}", 4, "nil pointer evaluating interface {}.b"),
        ("{{ len .a }}", 4, "error calling len: len of type int"),
        ("{{ index .l 5 }}", 4, "error calling index: index out of range: 5"),
        (
            '{{ eq .a "x" }}',
            4,
            "error calling eq: incompatible types for comparison: int and string",
        ),
        ("{{ range .a.b }}{{ end }}", 10, "can't evaluate field b in type int"),
        ('{{ template "gone" . }}', 1, 'template "gone" not defined'),
        ("{{ print 1 | .a }}", 14, "a field has arguments but is not a function"),
        (
            "{{ slice .s .a }}",
            13,
            "error calling slice: cannot index slice/array with type interface {}",
        ),
        ("{{ call .a }}", 4, "error calling call: non-function of type int"),
        ("{{ call nil }}", 4, "error calling call: call of nil"),
    ],
)
def test_a_failure_while_rendering_points_at_its_place(
    source: str, column: int, message: str
) -> None:
    template = GoTemplate(f"text\n{source}")
    with pytest.raises(TemplateError) as caught:
        template.render({"a": 1, "l": [1], "s": "text"})
    error = caught.value
    assert (error.stage, error.line, error.column) == ("execute", 2, column)
    assert error.message == message
