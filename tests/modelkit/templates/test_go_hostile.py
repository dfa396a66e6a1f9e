"""A stranger's template cannot hang, exhaust or break the process."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelkit.templates import GoTemplate, TemplateError
from tests.modelkit.templates.gowords import FRAGMENTS, NUMBERS, ODD, STRINGS

SECONDS = 3  # a sixth of it on an idle machine; what has no limit never ends
ENDLESS = "{{ range 9223372036854775807 }}"
TEXT = '(print $.s "é")'

SOURCES = {
    "actions": "{{.}}" * 20_000,
    "pipes": "{{" + "$|" * 49_000 + "print}}",
    "arguments": "{{print " + ". " * 49_000 + "}}",
    "parentheses": "{{print " + "(" * 25_000 + "1" + ")" * 25_000 + "}}",
    "fields": "{{.a" + ".b" * 49_000 + "}}",
    "fields of nothing": "{{(.q)" + ".b" * 49_000 + "}}",
    "loop of fields": ENDLESS + "{{($.q)" + ".b" * 49_000 + "}}{{end}}",
    "open ifs": "{{if .}}" * 12_500,
    "nested ifs": "{{if .}}" * 6_600 + "{{end}}" * 6_600,
    "else ifs": "{{if .q}}" + "{{else if .q}}" * 7_000 + "{{end}}",
    "blanks": " " * 100_000 + "{{-",
    "braces": "{" * 100_000,
    "nulls": "\0" * 100_000,
    "digits": "{{1" + "_1" * 49_000 + "}}",
    "integer": "{{" + "9" * 99_000 + "}}",
    "float": "{{" + "9" * 99_000 + ".}}",
    "hexadecimal": "{{0x" + "f" * 99_000 + "p1}}",
    "open comment": "{{/*" + "*" * 99_000,
    "open string": '{{"' + "a" * 99_000,
    "variables": "".join(f"{{{{$v{n} := 1}}}}" for n in range(7_000)),
    "one variable": "{{$v := 1}}" + "{{$v}}" * 16_000,
    "definitions": "".join(f'{{{{define "{n}"}}}}x{{{{end}}}}' for n in range(4_500)),
    "unknown functions": "{{" + "foo " * 24_000 + "}}",
    "empty loop": ENDLESS + "{{end}}",
    "text loop": ENDLESS + "a{{end}}",
    "nested loops": "{{range 10000}}" * 90 + "x" + "{{end}}" * 90,
    "continuing loop": ENDLESS + "{{continue}}{{end}}",
    "declaring loop": ENDLESS + "{{$x := .}}{{end}}",
    "loop of calls": ENDLESS + "{{and (or (not (eq 1 2)) 1) (lt 1 2)}}{{end}}",
    "loop over a map": ENDLESS + "{{range $.m}}{{end}}{{end}}",
    "loop that prints": ENDLESS + "{{$.s}}{{end}}",
    "loop that prints a map": ENDLESS + "{{$.m}}{{end}}",
    "loop of JSON": ENDLESS + "{{json $.m}}{{end}}",
    "loop of slices": ENDLESS + "{{slice $.l 1}}{{end}}",
    "loop of lengths": ENDLESS + "{{len " + TEXT + "}}{{end}}",
    "loop of escapes": ENDLESS + "{{js $.s | html | urlquery}}{{end}}",
    "loop of quotes": ENDLESS + '{{printf "%q %x" $.s $.s}}{{end}}',
    "loop of comparisons": "{{$a := "
    + TEXT
    + "}}{{$b := "
    + TEXT
    + "}}"
    + ENDLESS
    + "{{eq $a $b}}{{end}}",
    "wide numbers": ENDLESS + '{{printf "%9999999d" 1}}{{end}}',
    "many wide numbers": '{{printf "' + "%9999999d" * 10_000 + '"' + " 1" * 2_000 + "}}",
    "wide list": '{{printf "%9999999d" .l}}',
    "precise number": '{{printf "%.9999999f" 1.5}}',
    "open indexes": '{{printf "' + "%[" * 49_000 + '"}}',
    "doubling": '{{$x := "ab"}}' + ENDLESS + "{{$x = print $x $x}}{{end}}",
    "recursion": '{{define "a"}}{{template "a" .}}{{template "a" .}}{{end}}{{template "a" .}}',
    "deep data": "{{.deep}}{{json .deep}}",
    "deep withs": "{{with 1}}" * 90 + ENDLESS + "{{end}}" + "{{end}}" * 90,
}


def deep(levels: int) -> list[object]:
    data: list[object] = []
    for _ in range(levels):
        data = [data]
    return data


DATA = {
    "l": list(range(1_000)),
    "s": "x<" * 50_000,
    "m": {str(number): number for number in range(1_000)},
    "deep": deep(5_000),
}


def outcome(source: str, data: object) -> str:
    try:
        return GoTemplate(source).render(data)
    except TemplateError as error:
        return error.message


@pytest.mark.parametrize("name", SOURCES)
def test_hostile_templates_end_soon(name: str) -> None:
    outcome("", {})  # the grammar is loaded once
    began = time.process_time()
    outcome(SOURCES[name], DATA)
    assert time.process_time() - began < SECONDS


def test_nesting_up_to_the_limit_renders() -> None:
    source = "{{if 1}}" * 99 + "x" + "{{end}}" * 99
    assert GoTemplate(source).render({}) == "x"
    parentheses = "{{print " + "(" * 98 + "1" + ")" * 98 + "}}"
    assert GoTemplate(parentheses).render({}) == "1"


WORDS = st.sampled_from(
    [*FRAGMENTS, *NUMBERS, *ODD, *STRINGS, "range", "with", "printf", "index", "json"]
)
SOUP = st.lists(WORDS | st.text(max_size=3), max_size=40).map("".join)
DEEP = st.recursive(
    st.text(max_size=3), lambda inner: inner.map(lambda x: f"{{{{if .}}}}{x}{{{{end}}}}")
)


@given(source=st.text() | SOUP | SOUP.map(lambda s: f"{{{{{s}}}}}") | DEEP)
@settings(derandomize=True, deadline=None, max_examples=1500)
def test_any_text_renders_or_is_refused(source: str) -> None:
    outcome(source, {"a": 1, "l": [1, None], "m": {"x": "y"}})


@pytest.mark.parametrize(
    "source", ["\ud800", "{{ print `\udc80` }}", '{{ "\udfff" }}', "{{ len `\ud800` }}"]
)
def test_halves_of_surrogate_pairs_do_no_harm(source: str) -> None:
    outcome(source, {}).encode()


@pytest.mark.parametrize(
    "source", ["{{ . }}", "{{ json . }}", '{{ printf "%q %x" .t .t }}', "{{ len .t }}"]
)
def test_strange_data_does_no_harm(source: str) -> None:
    outcome(source, {"t": "\ud800\udc80", "nan": float("nan"), "big": 1 << 70}).encode()
