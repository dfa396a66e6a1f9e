"""html, js and urlquery: text made safe for other languages."""

from urllib.parse import quote_plus

from modelkit.templates.go.quoting import encode
from modelkit.templates.go.sprint import sprint

_HTML = str.maketrans(
    {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_SCRIPT = {code: f"\\u{code:04X}" for code in range(0x20)} | {
    ord("\\"): "\\\\",
    ord("'"): "\\'",
    ord('"'): '\\"',
    ord("<"): "\\u003C",
    ord(">"): "\\u003E",
    ord("&"): "\\u0026",
    ord("="): "\\u003D",
}


def html(*values: object) -> str:
    """Text safe inside HTML."""
    return _text(values).translate(_HTML)


def js(*values: object) -> str:
    """Text safe inside a JavaScript string."""
    text = _text(values).translate(_SCRIPT)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _code_point(c) for c in text)


def urlquery(*values: object) -> str:
    """Text safe inside the query of a URL."""
    return quote_plus(encode(_text(values)))


def _text(values: "tuple[object, ...]") -> str:
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint(tuple("<no value>" if value is None else value for value in values))


def _code_point(character: str) -> str:
    code = ord(character)
    # DEL, and a byte that is not UTF-8, stay as they are.
    return character if code == 0x7F or 0xD800 <= code <= 0xDFFF else f"\\u{code:04X}"
