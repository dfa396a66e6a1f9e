"""What can be wrong in a Go template: message, hint and example inputs, one table.

The tests parse every example and expect its message. Where Go has words for it they are Go's.
"""

import re
from typing import TYPE_CHECKING

from modelkit.grammar.errors import Fault, Mistake

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

MISTAKES = {
    "unclosed action": Mistake(
        "unclosed action",
        "every {{{{ needs a }}}} to close it",
        ("{{", "{{ .Prompt ", "{{ if eq .Role\n", "{{ (.a", "{{- "),
    ),
    "unclosed comment": Mistake(
        "unclosed comment",
        "a comment runs from {{{{/* to */}}}}",
        ("{{/* a", "{{- /* a }}", "{{/*/}}"),
    ),
    "comment with more": Mistake(
        "comment ends before closing delimiter",
        "a comment fills its action: {{{{/* text */}}}}; a blank goes inside only before a -",
        ("{{/* a */ }}", "{{/* a */ .x}}", "{{- /* a */-}}"),
    ),
    "open string": Mistake(
        "unterminated quoted string",
        'close the text with " on the same line, or put it between backquotes',
        ('{{ "a }}', '{{ print "a\n" }}', '{{ template "a\\" }}'),
    ),
    "open raw string": Mistake(
        "unterminated raw quoted string", "close the text with another `", ("{{ ` }}", "{{ print `")
    ),
    "open character": Mistake(
        "unterminated character constant",
        "'a' is one character; texts stand between double quotes",
        ("{{ 'a }}", "{{ print '\n' }}"),
    ),
    "bad number": Mistake(
        "bad number syntax: {word}",
        "numbers look like 12, 0x1F, 1.5 or 1e3; a - has blanks around it only as a trim marker",
        ("{{ 1x }}", "{{ 0b12 }}", "{{ .x | 1_a }}"),
    ),
    "open parenthesis": Mistake(
        "unclosed left paren",
        "close the ( with ) inside the same action",
        ("{{ (.a }}", "{{ if and (eq .a 1) (eq .b 2 }}"),
    ),
    "stray parenthesis": Mistake(
        "unexpected right paren", "there is no ( for this )", ("{{ .a) }}", "{{ ) }}")
    ),
    "missing value": Mistake(
        "missing value for {context}",
        "{{{{ {context} … }}}} needs a value, such as .Prompt",
        (
            "{{}}",
            "{{ if }}",
            "{{ range }}",
            "{{ $x := }}",
            "{{- }}",
            "{{ if .a }}{{ else if }}{{ end }}",
        ),
    ),
    "missing end": Mistake(
        "unexpected EOF",
        "an if, range, with, block or define has no {{{{end}}}}",
        ("{{ if .a }}", '{{ define "a" }}text', "{{ range .a }}{{ else }}x"),
    ),
    "stray word": Mistake(
        "unexpected {word}",
        "{{{{{word}}}}} has no matching start here",
        ("{{ end }}", "{{ else }}", "{{ if .a }}{{ else }}{{ else }}{{ end }}", "{{ print if }}"),
    ),
    "define inside": Mistake(
        "unexpected {word} in command",
        "{{{{define}}}} stands outside every other block",
        ('{{ if .a }}{{ define "x" }}{{ end }}{{ end }}',),
    ),
    "unexpected": Mistake(
        "unexpected {word} in action",
        "see the template language: functions take arguments separated by blanks",
        (
            "{{ .a, }}",
            '{{ "a""b" }}',
            "{{ .a.. }}",
            "{{ print(1) }}",
            "{{ a # b }}",
            "{{ template }}",
        ),
    ),
    "unknown function": Mistake(
        'function "{name}" not defined',
        "{advice}",
        ("{{ prnt .a }}", "{{ .a | upper }}", "{{ Prompt }}"),
    ),
    "undefined variable": Mistake(
        'undefined variable "{name}"',
        "declare it first with {{{{ {name} := … }}}} in this block or around it",
        ("{{ $x }}", "{{ if .a }}{{ $x := 1 }}{{ end }}{{ $x }}", "{{ range $i, $x }}{{ end }}"),
    ),
    "bad literal": Mistake(
        "{reason}",
        "write it as Go does",
        (
            '{{ "\\q" }}',
            "{{ 'ab' }}",
            "{{ 99999999999999999999 }}",
            "{{ 0x }}",
            "{{ + }}",
            "{{- -}}",
            "{{ 1+2 }}",
        ),
    ),
    "bad name": Mistake(
        "bad character in {name}", "names hold letters, digits and _", ("{{ .a² }}", "{{ $½ }}")
    ),
    "outside a loop": Mistake(
        "{{{{{word}}}}} outside {{{{range}}}}",
        "only a loop can be left or continued",
        ("{{ break }}", "{{ range .a }}{{ else }}{{ continue }}{{ end }}"),
    ),
    "value in a pipeline": Mistake(
        "non executable command in pipeline stage {stage}",
        "what follows | is a function that takes the value before it",
        ('{{ .a | "b" }}', "{{ .a | print | . }}", "{{ 1 | nil }}"),
    ),
    "field of a literal": Mistake(
        'unexpected . after term "{term}"',
        "only maps have fields",
        ('{{ "a".b }}', "{{ true.x }}", "{{ nil.x }}", "{{ ..x }}"),
    ),
    "defined twice": Mistake(
        'multiple definition of template "{name}"',
        "give one of the two another name",
        ('{{ define "a" }}x{{ end }}{{ define "a" }}y{{ end }}',),
    ),
    "loop over what": Mistake(
        "range can only initialize variables",
        "write {{{{ range $index, $element := .List }}}}",
        ("{{ range $i, .a }}{{ end }}", "{{ range $i, (.a) }}{{ end }}"),
    ),
    "too deep": Mistake(
        "max expression depth exceeded",
        "blocks and parentheses nest at most {limit} deep",
        ("{{ print " + "(" * 101 + "1" + ")" * 101 + " }}", "{{ if . }}" * 101 + "{{ end }}" * 101),
    ),
    "too large": Mistake(
        "the template is too large",
        "it has more than {limit} words; a real one has hundreds",
        ("{{.}}" * 10_001,),
    ),
}

KEYWORDS = (
    "block",
    "break",
    "continue",
    "define",
    "else",
    "end",
    "if",
    "range",
    "template",
    "with",
)

_BLANK = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"\w+|[^\w]")
_FIRST_WORD = re.compile(r"[ \t\r\n]*\{\{(?:-[ \t\r\n])?[ \t\r\n]*([a-z]+)")
_LAST_WORD = re.compile(r"(\w*)[ \t\r\n]*$")
_CLOSED = {
    '"': ("open string", re.compile(r'"(?:[^"\\\n]|\\[^\n])*+"')),
    "'": ("open character", re.compile(r"'(?:[^'\\\n]|\\[^\n])*+'")),
    "`": ("open raw string", re.compile(r"`[^`]*+`")),
}
_NUMBER = re.compile(r"[+-]?(?:\.?[0-9][\w.]*)")


def explain(error: "UnexpectedInput", text: str) -> Fault:
    """The mistake behind an error that Lark raised for `text`."""
    allowed, offset = _place(error, text)
    if "TEXT" in allowed:
        return _explain_text(text, offset)
    # A token takes the blanks before it along.
    blanks = _BLANK.match(text, offset)
    return _explain_action(text, blanks.end() if blanks else offset, allowed)


def _place(error: "UnexpectedInput", text: str) -> tuple[set[str], int]:
    """The terminals the parser would have accepted, and the offset at which it saw none of them."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    match error:
        case UnexpectedCharacters():
            return set(error.allowed), error.pos_in_stream or 0
        case UnexpectedToken():
            at_end = error.token.type == "$END"
            return set(error.expected), len(text) if at_end else error.pos_in_stream or 0
    raise error


def _explain_text(text: str, offset: int) -> Fault:
    if offset == len(text):
        return MISTAKES["missing end"].at(offset)
    word = _FIRST_WORD.match(text, offset)
    if word and word[1] in KEYWORDS:
        return MISTAKES["stray word"].at(word.start(1), word=word[1])
    comment = text.find("/*", offset)
    kind = "unclosed comment" if text.find("*/", comment + 2) < 0 else "comment with more"
    return MISTAKES[kind].at(offset)


def _explain_action(text: str, offset: int, allowed: set[str]) -> Fault:
    if offset == len(text):
        return MISTAKES["unclosed action"].at(offset)
    first = text[offset]
    if first in _CLOSED:
        kind, closed = _CLOSED[first]
        if not closed.match(text, offset):
            return MISTAKES[kind].at(offset)
    if text.startswith(("}}", "-}}"), offset):
        return _explain_close(text, offset, allowed)
    if first == ")":
        return MISTAKES["stray parenthesis"].at(offset)
    number = _NUMBER.match(text, offset)
    if number and "NUMBER" in allowed:
        return MISTAKES["bad number"].at(offset, word=number[0])
    return _explain_word(text, offset, allowed)


def _explain_close(text: str, offset: int, allowed: set[str]) -> Fault:
    if "NAME" in allowed and "SPACE" not in allowed:
        word = _LAST_WORD.search(text, 0, offset)
        context = word[1] if word and word[1] in KEYWORDS else "command"
        return MISTAKES["missing value"].at(offset, context=context)
    if "RPAREN" in allowed:
        return MISTAKES["open parenthesis"].at(offset)
    return MISTAKES["unexpected"].at(offset, word='"}}"')


def _explain_word(text: str, offset: int, allowed: set[str]) -> Fault:
    match = _WORD.match(text, offset)
    word = match[0] if match else text[offset]
    if word == "define":
        return MISTAKES["define inside"].at(offset, word=word)
    if word in KEYWORDS:
        return MISTAKES["stray word"].at(offset, word=word)
    return MISTAKES["unexpected"].at(offset, word=f'"{word}"')
