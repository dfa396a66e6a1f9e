"""Python values as Go values, and what typed values may define.

dict is map[string]any, list is []any, None is nil. INVALID is Go's absent value: what a missing
variable evaluates to; it prints `<no value>`.
"""

from typing import Final, Protocol, TypeGuard

SLICES = (list, tuple)


class Printable(Protocol):
    """A value that prints as text of its own."""

    def go_string(self) -> str:
        """What `{{ . }}` prints."""
        ...


class Marshaler(Protocol):
    """A value that `json` writes in its own way."""

    def go_json(self) -> object:
        """Plain data; its keys are written in their own order, at every level."""
        ...


class Struct(Protocol):
    """A value with fields of its own; unlike a map it is always true."""

    def go_field(self, name: str) -> object:
        """The field's value; raises KeyError for a field that the type does not have."""
        ...


class Invalid:
    """The type of INVALID."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = Invalid()


class Byte(int):
    """A uint8: what `index "text" 0` gives."""


class Failure(Exception):
    """What went wrong inside a function, before the place in the template is known."""


def is_printable(value: object) -> TypeGuard[Printable]:
    """Whether a value is Printable; faster than isinstance with a protocol."""
    return hasattr(type(value), "go_string")


def is_struct(value: object) -> TypeGuard[Struct]:
    """Whether a value is a Struct."""
    return hasattr(type(value), "go_field")


def is_marshaler(value: object) -> TypeGuard[Marshaler]:
    """Whether a value is a Marshaler."""
    return hasattr(type(value), "go_json")


_NAMES: dict[type, str] = {
    str: "string",
    bool: "bool",
    int: "int",
    float: "float64",
    complex: "complex128",
    Byte: "uint8",
    dict: "map[string]interface {}",
    list: "[]interface {}",
    tuple: "[]interface {}",
    type(None): "<nil>",
    Invalid: "<nil>",
}


def type_name(value: object) -> str:
    """The Go type's name; typed values go by their Python name."""
    return _NAMES.get(type(value)) or f"api.{type(value).__name__}"
