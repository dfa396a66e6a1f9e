"""eq, ne, lt, le, gt, ge: Go's basic kinds compare within a kind, integers across their types."""

from modelkit.templates.go.quoting import encode
from modelkit.templates.go.values import SLICES, Byte, Failure, type_name


def equal(first: object, *others: object) -> bool:
    """`eq a b c`: whether a equals any of the others."""
    if len(others) == 1:
        return _equal(first, others[0])
    if not others:
        raise Failure("missing argument for comparison")
    return any(_equal(first, other) for other in others)


def not_equal(first: object, second: object) -> bool:
    """`ne`"""
    return not _equal(first, second)


def less(first: object, second: object) -> bool:
    """`lt`"""
    return _less(first, second)


def less_or_equal(first: object, second: object) -> bool:
    """`le`"""
    return _less(first, second) or _equal(first, second)


def greater(first: object, second: object) -> bool:
    """`gt`"""
    return not less_or_equal(first, second)


def greater_or_equal(first: object, second: object) -> bool:
    """`ge`"""
    return not _less(first, second)


def _kind(value: object) -> type | None:
    """str, bool, int, float or complex; None for what is not a basic value."""
    kind = type(value)
    if kind in (str, bool, int, float, complex):
        return kind
    return int if kind is Byte else str if isinstance(value, str) else None


def _equal(first: object, second: object) -> bool:
    if type(first) is str and type(second) is str:
        return first == second
    kind, other = _kind(first), _kind(second)
    if kind is not other:
        if first is None or second is None:
            return False
        raise _incompatible(first, second)
    if kind is not None or first is None or second is None:
        return first == second
    if isinstance(first, (dict, *SLICES)) or isinstance(second, (dict, *SLICES)):
        raise Failure(f"non-comparable types {type_name(first)} and {type_name(second)}")
    return first is second


def _less(first: object, second: object) -> bool:
    kind, other = _kind(first), _kind(second)
    if kind is None or other is None:
        raise Failure("invalid type for comparison")
    if kind is not other:
        raise _incompatible(first, second)
    match first, second:
        case (bool(), _) | (complex(), _):
            raise Failure("invalid type for comparison")
        case str(), str():
            return encode(first) < encode(second)
        case ((int() | float()), (int() | float())):
            return first < second
    raise AssertionError(kind)


def _incompatible(first: object, second: object) -> Failure:
    names = f"{type_name(first)} and {type_name(second)}"
    return Failure(f"incompatible types for comparison: {names}")
