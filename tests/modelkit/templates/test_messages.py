"""Messages and tools as templates see them."""

import json
from typing import Any

import msgspec
import pytest

from modelkit.errors import UsageError
from modelkit.templates import GoTemplate, TemplateError
from modelkit.templates.messages import Function, Message, ToolCall
from modelkit.templates.tools import Property, Tools

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["b"],
    "properties": {
        "b": {"type": ["string"], "description": "<b>", "unknown": 1},
        "a": {"type": ["integer", "null"], "enum": [1, None]},
        "list": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object", "properties": {"x": {}}, "required": ["x"]},
        "either": {"anyOf": [{"type": "string"}, {"type": "number"}]},
    },
}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": SCHEMA},
}


def render(source: str, **data: object) -> str:
    return GoTemplate(source).render(data)


def call(**arguments: object) -> ToolCall:
    return ToolCall(function=Function(name="f", arguments=arguments))


def test_a_role_is_read_without_regard_to_case() -> None:
    assert Message(role="USER").role == "user"
    assert msgspec.json.decode(b'{"role": "Tool"}', type=Message).role == "tool"


def test_a_messages_fields_have_gos_names() -> None:
    message = Message(
        role="assistant",
        content="c",
        thinking="t",
        images=["aGk="],
        tool_calls=[ToolCall(id="1", function=Function(index=2, name="f", arguments={"k": 1}))],
        tool_name="n",
        tool_call_id="9",
    )
    source = (
        "{{ .Role }} {{ .Content }} {{ .Thinking }} {{ len .Images }} {{ .ToolName }} "
        "{{ .ToolCallID }} {{ range .ToolCalls }}{{ .ID }} {{ .Function.Index }} "
        "{{ .Function.Name }} {{ .Function.Arguments.k }}{{ end }}"
    )
    assert GoTemplate(source).render(message) == "assistant c t 1 n 9 1 2 f 1"


def test_a_field_that_no_message_has_is_an_error() -> None:
    with pytest.raises(TemplateError, match="can't evaluate field Name"):
        render("{{ range .Messages }}{{ .Name }}{{ end }}", Messages=[Message(role="user")])


def test_arguments_print_as_json_in_the_callers_order() -> None:
    calls = [call(b=1, a={"y": "<", "x": [True, None, 1.5]})]
    source = "{{ range .Calls }}{{ .Function.Arguments }}{{ end }}"
    expected = '{"b":1,"a":{"y":"\\u003c","x":[true,null,1.5]}}'
    assert render(source, Calls=calls) == expected
    assert render(source.replace("{{ .F", "{{ json .F"), Calls=calls) == expected
    assert render(source, Calls=[call()]) == "{}"


def test_arguments_are_a_map() -> None:
    source = "{{ range $k, $v := .A }}{{ $k }}={{ $v }} {{ end }}{{ len .A }} {{ index .A `b` }}"
    arguments = call(b=1, a="x").function.go_field("Arguments")
    assert render(source, A=arguments) == "a=x b=1 2 1"
    assert render("{{ if .A }}some{{ else }}none{{ end }}", A=call().function.arguments) == "none"


def test_a_call_prints_as_the_api_writes_it() -> None:
    calls = [call(a=1), ToolCall(id="i", function=Function(index=1, name="g"))]
    assert render("{{ range .C }}{{ . }}{{ .Function }}{{ end }}", C=calls) == (
        '{"function":{"name":"f","arguments":{"a":1}}}{"name":"f","arguments":{"a":1}}'
        '{"id":"i","function":{"index":1,"name":"g","arguments":{}}}'
        '{"index":1,"name":"g","arguments":{}}'
    )
    assert render("{{ json .C }}", C=calls[:1]) == f"[{calls[0].go_string()}]"


def test_a_message_prints_as_the_api_writes_it() -> None:
    message = Message(role="assistant", content="&", thinking="t", tool_calls=[call(a=1)])
    assert render("{{ .M }}", M=message) == (
        '{"role":"assistant","content":"\\u0026","thinking":"t",'
        '"tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}'
    )


def test_tools_print_as_json_without_what_ollama_does_not_know() -> None:
    properties = (
        '{"b":{"type":"string","description":"\\u003cb\\u003e"},'
        '"a":{"type":["integer","null"],"enum":[1,null]},'
        '"list":{"type":"array","items":{"type":"string"}},'
        '"deep":{"type":"object","properties":{"x":{}},"required":["x"]},'
        '"either":{"anyOf":[{"type":"string"},{"type":"number"}]}}'
    )
    parameters = f'{{"type":"object","required":["b"],"properties":{properties}}}'
    function = f'{{"name":"f","description":"d","parameters":{parameters}}}'
    tool = f'{{"type":"function","function":{function}}}'
    tools = Tools.of([TOOL])
    for source, expected in {
        "{{ .Tools }}": f"[{tool}]",
        "{{ json .Tools }}": f"[{tool}]",
        "{{ range .Tools }}{{ . }}{{ end }}": tool,
        "{{ range .Tools }}{{ .Function }}{{ end }}": function,
        "{{ range .Tools }}{{ .Function.Parameters }}{{ end }}": parameters,
        "{{ range .Tools }}{{ .Function.Parameters.Properties }}{{ end }}": properties,
    }.items():
        assert render(source, Tools=tools) == expected


def test_a_tools_fields_have_gos_names() -> None:
    source = (
        "{{ range .Tools }}{{ .Type }} {{ .Function.Name }} {{ .Function.Description }} "
        "{{ .Function.Parameters.Type }} {{ .Function.Parameters.Required }}"
        "{{ range $name, $p := .Function.Parameters.Properties }} "
        "{{ $name }}:{{ $p.Type }}{{ $p.Description }}{{ $p.Enum }}{{ end }}{{ end }}"
    )
    assert render(source, Tools=Tools.of([TOOL])) == (
        "function f d object [b] a:[integer null][1 <nil>] b:string<b>[] deep:object[] "
        "either:[] list:array[]"
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "number"),
        ({"type": ["array", "null"]}, "any[] | null"),
        ({"type": "object"}, "Record<string, any>"),
        ({"anyOf": [{"type": "boolean"}, {"type": "date"}]}, "boolean | any"),
        ({}, "any"),
    ],
)
def test_a_property_knows_its_type_in_typescript(schema: dict[str, Any], expected: str) -> None:
    schema_ = msgspec.convert(schema, Property)
    assert render("{{ .P.ToTypeScriptType }}", P=schema_) == expected
    assert render("{{ toTypeScriptType .P }}", P=schema_) == expected


def test_a_tool_may_leave_out_or_null_what_it_does_not_need() -> None:
    tools = Tools.of(
        [{"type": "function", "function": {"name": "f", "description": None, "parameters": None}}]
    )
    assert json.loads(tools.go_string()) == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "",
                "parameters": {"type": "", "properties": None},
            },
        }
    ]
    assert render("{{ range .T }}{{ .Function.Parameters.Properties }}{{ end }}", T=tools) == "{}"


@pytest.mark.parametrize(
    "tool", [{"type": 1}, {"function": {"name": []}}, {"function": {"parameters": "x"}}]
)
def test_what_is_no_tool_is_refused(tool: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="not a valid tool"):
        Tools.of([tool])


def test_jinja_gets_hugging_faces_names() -> None:
    message = Message(role="tool", content="31", tool_name="f", tool_call_id="1")
    assert message.variables() == {
        "role": "tool",
        "content": "31",
        "name": "f",
        "tool_call_id": "1",
    }
    asked = Message(role="assistant", thinking="t", tool_calls=[call(a=1)])
    assert asked.variables() == {
        "role": "assistant",
        "content": "",
        "thinking": "t",
        "reasoning_content": "t",
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
    }
