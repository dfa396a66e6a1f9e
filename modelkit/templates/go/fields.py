"""Fields: which nodes name them, and what a field of a value is."""

from typing import TypeGuard

from modelkit.templates.go import tree
from modelkit.templates.go.state import fail
from modelkit.templates.go.values import INVALID, is_struct, type_name

WithFields = tree.Field | tree.Variable | tree.Chain


def has_fields(node: tree.Node) -> TypeGuard[WithFields]:
    """Whether the node names a field, and not only a variable or a value."""
    return isinstance(node, tree.Field | tree.Chain) or (
        isinstance(node, tree.Variable) and bool(node.fields)
    )


def field_names(node: WithFields) -> list[str]:
    """The fields that the node names, from the outermost to the last."""
    return node.names if isinstance(node, tree.Field) else node.fields


def field_of(value: object, name: str, node: tree.Node) -> object:
    """`value.name`: None for a key that a map lacks; raises TemplateError where Go would."""
    if value is INVALID:
        return INVALID
    if is_struct(value):
        try:
            return value.go_field(name)
        except KeyError:
            fail(node, f"can't evaluate field {name} in type {type_name(value)}")
    if isinstance(value, dict):
        return value.get(name)
    reason = f"can't evaluate field {name} in type {type_name(value)}"
    return fail(node, f"nil pointer evaluating interface {{}}.{name}" if value is None else reason)
