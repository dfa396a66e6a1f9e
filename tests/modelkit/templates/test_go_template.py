"""What the comparison with Go cannot show: typed values, the tree, limits, dates, addresses."""

import threading
from datetime import date, timedelta

import pytest

from modelkit.templates import GoTemplate, TemplateError
from modelkit.templates.go import tree
from modelkit.templates.go.state import Limits


class Call:
    """A typed value: a struct to the template, JSON when printed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def go_string(self) -> str:
        return f'{{"name":"{self.name}"}}'

    def go_json(self) -> object:
        return {"name": self.name, "extra": {"b": 1, "a": [self.name]}}

    def go_field(self, name: str) -> object:
        return {"Name": self.name, "ToTypeScriptType": "string | number"}[name]


class Calls(list[Call]):
    def go_string(self) -> str:
        return "calls!"


def render(source: str, data: object = None) -> str:
    return GoTemplate(source).render(data)


# ---- Typed values ----


def test_a_typed_value_prints_and_marshals_as_it_says() -> None:
    data = {"c": Call("x<y"), "l": Calls([Call("a")])}
    assert render("{{ .c }} {{ .c.Name }}", data) == '{"name":"x<y"} x<y'
    assert render("{{ json .c }}", data) == (
        '{"name":"x\\u003cy","extra":{"b":1,"a":["x\\u003cy"]}}'
    )
    assert render("{{ .l }} {{ print .l 1 }} {{ json .l }}", data) == (
        'calls! calls! 1 [{"name":"a","extra":{"b":1,"a":["a"]}}]'
    )
    assert render('{{ printf "%v|%s|%q|%T" .c .c .c .c }}', data) == (
        '{"name":"x<y"}|{"name":"x<y"}|"{\\"name\\":\\"x<y\\"}"|api.Call'
    )


def test_a_typed_value_is_true_and_lists_of_them_are_lists() -> None:
    data = {"c": Call("x"), "l": Calls([Call("a"), Call("b")]), "none": Calls()}
    assert render("{{ if .c }}yes{{ end }}{{ if .none }}no{{ end }}", data) == "yes"
    assert (
        render("{{ range $i, $c := .l }}{{ $i }}{{ .Name }}{{ $c.Name }}{{ end }}", data)
        == "0aa1bb"
    )
    assert render("{{ len .l }} {{ (index .l 1).Name }} {{ len (slice .l 1) }}", data) == "2 b 1"


def test_a_typed_value_has_only_its_own_fields() -> None:
    with pytest.raises(TemplateError, match="can't evaluate field Nome in type api"):
        render("{{ .Nome }}", Call("x"))


def test_a_typed_value_says_its_type_in_typescript() -> None:
    assert render("{{ toTypeScriptType . }}", Call("x")) == "string | number"
    assert render("{{ toTypeScriptType . }}", {"type": "string"}) == "any"


# ---- Values ----


def test_json_sorts_maps_and_escapes_html() -> None:
    data = {"b": 1, "a": {"z": 1.0, "y": [None, True, "<\u2028>"]}, "c": 1e21}
    assert render("{{ json . }}", data) == (
        '{"a":{"y":[null,true,"\\u003c\\u2028\\u003e"],"z":1},"b":1,"c":1e+21}'
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ .Foo }}|{{ if .Foo }}yes{{ end }}", "<no value>|"),
        ("{{ print .Foo }} {{ html .Foo }}", "<nil> &lt;no value&gt;"),
        ('{{ printf "%p" "x" }} {{ printf "%p" nil }}', "%!p(string=x) %!p(<nil>)"),
        ('{{ slice "é" 0 1 }}{{ slice "é" 1 2 }}', "é"),
        ('{{ slice "日" 0 2 }}|', "\ufffd\ufffd|"),
        ('{{ eq (print (slice "é" 0 1) (slice "é" 1)) "é" }}', "true"),
        ("{{ 1i }} {{ 1.5-2i }} {{ eq 1i 0+1i }}", "(0+1i) (1.5-2i) true"),
        ('{{ json (slice "é" 1) }} {{ json 1i }}|', '"\\ufffd" |'),
        ('{{ index "abc" 1 }} {{ printf "%c %T" (index "abc" 1) (index "abc" 1) }}', "98 b uint8"),
    ],
)
def test_values_print_as_go_prints_them(source: str, expected: str) -> None:
    assert render(source, {}) == expected


def test_no_data_at_all_has_no_value() -> None:
    assert render("{{ . }} {{ .a.b }}") == "<no value> <no value>"


def test_dates_ignore_their_arguments() -> None:
    today = date.today()
    shown = render('{{ currentDate "2006" }} {{ yesterdayDate }}')
    assert shown in {
        f"{day} {day - timedelta(days=1)}" for day in (today, today + timedelta(days=1))
    }


def test_an_integer_too_large_for_go_fails_only_when_it_is_used() -> None:
    template = GoTemplate("{{ if . }}{{ 9223372036854775808 }}{{ end }}")
    assert template.render(False) == ""
    with pytest.raises(TemplateError, match="9223372036854775808 overflows int"):
        template.render(True)


# ---- Identifiers and the tree ----


def test_identifiers_are_all_fields_and_variables_in_lower_case() -> None:
    source = (
        '{{ define "x" }}{{ .Inside }}{{ end }}{{ range $i, $m := .Messages }}{{ $m.Content }}'
        '{{ (index $.Tools 0).Name }}{{ end }}{{ template "x" .Arg }}'
        "{{ if .A }}{{ else }}{{ .B }}{{ end }}"
    )
    assert GoTemplate(source).identifiers() == {
        *("inside", "$i", "$m", "messages", "content", "$", "tools", "name", "arg", "a", "b"),
    }


def test_a_template_called_without_a_value_has_no_identifiers() -> None:
    template = GoTemplate('{{ define "x" }}{{ end }}\n{{ template "x" }}')
    assert template.render({}) == "\n"
    with pytest.raises(TemplateError, match="undefined template specified") as caught:
        template.identifiers()
    assert (caught.value.stage, caught.value.line) == ("parse", 2)


def test_every_node_knows_its_place() -> None:
    source = 'a {{- if eq .Role "user" -}}\n b{{ (.x).y | print $ }}{{ end }}'
    places = {
        source[node.start : node.end]: (type(node).__name__, node.line, node.column)
        for node in GoTemplate(source).tree.walk()
        if not isinstance(node, tree.Command | tree.Branch | tree.Body)
    }
    assert places == {
        "a": ("Text", 1, 1),
        source[2:]: ("If", 1, 3),
        'eq .Role "user"': ("Pipeline", 1, 10),
        "eq": ("Identifier", 1, 10),
        ".Role": ("Field", 1, 13),
        '"user"': ("Literal", 1, 19),
        "b": ("Text", 2, 2),
        "{{ (.x).y | print $ }}": ("Action", 2, 3),
        "(.x).y | print $": ("Pipeline", 2, 6),
        "(.x).y": ("Chain", 2, 6),
        "(.x)": ("Pipeline", 2, 6),
        ".x": ("Field", 2, 7),
        "print": ("Identifier", 2, 15),
        "$": ("Variable", 2, 21),
    }


def test_nodes_hold_what_was_written() -> None:
    (loop, call) = GoTemplate(
        "{{ range $i, $x = .L }}{{ break }}{{ else }}none{{ end }}{{ block `b` 1 }}t{{ end }}"
    ).tree.items
    assert isinstance(loop, tree.Range)
    assert [variable.name for variable in loop.pipeline.variables] == ["$i", "$x"]
    assert loop.pipeline.assigns
    assert isinstance(loop.body.items[0], tree.Break)
    assert loop.otherwise
    assert isinstance(call, tree.Block)
    assert call.name == "b"


# ---- Limits ----


@pytest.mark.parametrize(
    ("source", "limits", "message"),
    [
        ("{{ range 1000 }}{{ end }}", Limits(steps=900), "too much work"),
        ("{{ range 100 }}0123456789{{ end }}", Limits(output=999), "too long a text"),
        ('{{ printf "%5000d" 1 }}', Limits(steps=100), "too much work"),
        (
            '{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}',
            Limits(),
            "maximum template depth",
        ),
    ],
)
def test_a_limit_ends_the_rendering(source: str, limits: Limits, message: str) -> None:
    with pytest.raises(TemplateError, match=message) as caught:
        GoTemplate(source).render({}, limits=limits)
    assert caught.value.stage == "execute"


def test_what_fits_the_limits_is_rendered() -> None:
    limits = Limits(output=1000, steps=1000)
    assert (
        GoTemplate("{{ range 100 }}0123456789{{ end }}").render({}, limits=limits)
        == "0123456789" * 100
    )


def test_one_template_renders_in_several_threads() -> None:
    template = GoTemplate("{{ $s := .n }}{{ range 500 }}{{ $s = print $.n }}{{ end }}{{ $s }}")
    results: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=n: results.update({n: template.render({"n": n})}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: str(n) for n in range(8)}
