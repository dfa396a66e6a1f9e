"""One look for every Modelfile: case, spaces, quotes and empty lines; never what it means."""

import re

from modelkit.modelfile import needs_quotes, parse_nodes
from modelkit.syntax import Break, Comment, Instruction, Node

_LINE_END = re.compile(r"\r\n|\r|\n")
# Without its quotes, such a text would look quoted or commented to a reader.
_LOOKS_ODD = re.compile(r"^['`‘’“”]|\s#")  # noqa: RUF001


def format_modelfile(source: str, filename: str = "Modelfile") -> str:
    """`source` in the house style, with the same commands and comments.

    Keywords in capitals, no indentation, one space between words, quotes only where the value
    needs them, at most one empty line, and one around values of several lines. Line ends are
    those of the first line. Raises ModelfileError for a text that does not parse.
    """
    source = source.removeprefix("\ufeff")
    nodes = parse_nodes(source, filename)
    newline = _LINE_END.search(source)
    return _join(nodes, newline[0] if newline else "\n")


def _join(nodes: list[Node], newline: str) -> str:
    out: list[str] = []
    empty_before = False
    for index, node in enumerate(nodes):
        if isinstance(node, Break):
            empty_before = node.count > 1
            continue
        if out and (empty_before or _stands_apart(nodes, index)):
            out.append(newline)
        out.append(_instruction(node) if isinstance(node, Instruction) else _comment(node))
        out.append(newline)
    return "".join(out)


def _stands_apart(nodes: list[Node], index: int) -> bool:
    """Whether an empty line belongs before a node: it, or what is before it, has several lines.

    Comments belong to what follows them, so the empty line goes before the first of them.
    """
    before = nodes[index - 2] if index > 1 else None
    if isinstance(before, Comment):
        return False
    return (before is not None and _is_long(before)) or _is_long(_described(nodes, index))


def _described(nodes: list[Node], index: int) -> Node:
    """What the comment at `index` stands above; the node itself when it is no comment."""
    while isinstance(nodes[index], Comment) and index + 2 < len(nodes):
        gap = nodes[index + 1]
        if isinstance(gap, Break) and gap.count > 1:
            break
        index += 2
    return nodes[index]


def _is_long(node: Node) -> bool:
    return isinstance(node, Instruction) and bool(_LINE_END.search(node.written))


def _comment(node: Comment) -> str:
    return node.text.rstrip()


def _instruction(node: Instruction) -> str:
    head = node.keyword
    if node.keyword in ("PARAMETER", "MESSAGE"):
        head += f" {node.word}"
    return f"{head} {_value(node)}"


def _value(node: Instruction) -> str:
    """The value as shortly as it can be written; a bare one stays as it is."""
    if node.written and not node.quote:
        return node.written
    text = node.text
    if not needs_quotes(text) and not _LOOKS_ODD.search(text):
        return text
    several_lines = bool(_LINE_END.search(text))
    return f'"""{text}"""' if several_lines or '"' in text else f'"{text}"'
