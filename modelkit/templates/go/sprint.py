"""Whole texts of values: what an action prints, and Go's fmt.Sprint and fmt.Sprintln."""

from modelkit.templates.go.printing import Printer
from modelkit.templates.go.quoting import joined
from modelkit.templates.go.values import INVALID


def text_of(value: object) -> str:
    """What `{{ value }}` prints."""
    if type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    if value is INVALID or value is None:
        return "<no value>" if value is INVALID else "<nil>"
    printer = Printer()
    printer.value(value, "v")
    return joined(printer.parts)


def sprint(values: "tuple[object, ...]") -> str:
    """Go's fmt.Sprint: a space between two values unless one of them is text."""
    printer = Printer()
    after_text = True
    for value in values:
        is_text = isinstance(value, str)
        if not is_text and not after_text:
            printer.parts.append(" ")
        printer.argument(value, "v")
        after_text = is_text
    return joined(printer.parts)


def sprintln(values: "tuple[object, ...]") -> str:
    """Go's fmt.Sprintln: spaces between all values, then a line end."""
    printer = Printer()
    for index, value in enumerate(values):
        if index:
            printer.parts.append(" ")
        printer.argument(value, "v")
    return joined([*printer.parts, "\n"])
