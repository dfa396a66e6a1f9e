"""A chat of 50 messages with tools: our Go templates against jinja2 on the equivalent template."""

from json import JSONEncoder
from typing import Any

import jinja2

from bench.helpers.timing import alternate, print_ratios
from modelkit.templates.go.check import check
from modelkit.templates.go.parser import parse
from modelkit.templates.go.statements import compile_templates
from modelkit.templates.go.template import GoTemplate

ROUNDS = 300

GO = """\
{{- if or .System .Tools }}<|im_start|>system
{{- if .System }}
{{ .System }}
{{- end }}
{{- if .Tools }}

# Tools

<tools>
{{- range .Tools }}
{"type": "function", "function": {{ json .function }}}
{{- end }}
</tools>
{{- end }}<|im_end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .role "user" }}<|im_start|>user
{{ .content }}<|im_end|>
{{ else if eq .role "assistant" }}<|im_start|>assistant
{{ if .content }}{{ .content }}
{{- else if .tool_calls }}<tool_call>
{{ range .tool_calls }}{"name": "{{ .function.name }}", "arguments": {{ json .function.arguments }}}
{{ end }}</tool_call>
{{- end }}{{ if not $last }}<|im_end|>
{{ end }}
{{- else if eq .role "tool" }}<|im_start|>user
<tool_response>
{{ .content }}
</tool_response><|im_end|>
{{ end }}
{{- if and (ne .role "assistant") $last }}<|im_start|>assistant
{{ end }}
{{- end }}"""

JINJA = """\
{%- if System or Tools %}<|im_start|>system
{%- if System %}
{{ System }}
{%- endif %}
{%- if Tools %}

# Tools

<tools>
{%- for tool in Tools %}
{"type": "function", "function": {{ tool.function | json }}}
{%- endfor %}
</tools>
{%- endif %}<|im_end|>
{% endif %}
{%- for message in Messages %}
{%- set last = loop.last %}
{%- if message.role == "user" %}<|im_start|>user
{{ message.content }}<|im_end|>
{% elif message.role == "assistant" %}<|im_start|>assistant
{% if message.content %}{{ message.content }}
{%- elif message.tool_calls %}<tool_call>
{% for call in message.tool_calls %}{"name": "{{ call.function.name }}", "arguments": {{ \
call.function.arguments | json }}}
{% endfor %}</tool_call>
{%- endif %}{% if not last %}<|im_end|>
{% endif %}
{%- elif message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% endif %}
{%- if message.role != "assistant" and last %}<|im_start|>assistant
{% endif %}
{%- endfor %}"""


def conversation() -> dict[str, Any]:
    """50 messages, one call of a tool in ten, and five tools."""
    call = {"function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}}
    messages: list[dict[str, Any]] = []
    for number in range(10):
        messages += [
            {"role": "user", "content": f"Question {number}: " + "why is that so? " * 10},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": '{"temperature": 21}'},
            {"role": "assistant", "content": "Because of this and that. " * 20},
            {"role": "user", "content": "Thank you!"},
        ]
    properties = {"city": {"type": "string"}, "days": {"type": "integer"}}
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    function = {"name": "get_weather", "description": "Weather in a city", "parameters": parameters}
    tools = [{"type": "function", "function": function}] * 5
    return {"System": "You are a helpful assistant.", "Messages": messages, "Tools": tools}


def compile_go() -> None:
    """Parse, check and compile the Go template."""
    compile_templates(check(parse(GO), GO))


def main() -> None:
    """Median times to render and to compile; both templates must give the same text."""
    data = conversation()
    environment = jinja2.Environment(keep_trailing_newline=True, cache_size=0)
    environment.filters["json"] = JSONEncoder(separators=(",", ":"), sort_keys=True).encode
    peer, ours = environment.from_string(JINJA), GoTemplate(GO)
    if peer.render(data) != ours.render(data):
        raise SystemExit("the two templates do not agree")
    print_ratios(
        alternate(
            {
                "jinja2: render": lambda: peer.render(data),
                "Go template: render": lambda: ours.render(data),
            },
            ROUNDS,
        ),
        "jinja2: render",
    )
    print_ratios(
        alternate(
            {
                "jinja2: compile": lambda: environment.from_string(JINJA),
                "Go template: compile": compile_go,
            },
            ROUNDS // 10,
        ),
        "jinja2: compile",
    )


if __name__ == "__main__":
    main()
